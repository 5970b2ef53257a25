using System.CommandLine;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Pool;
using KvFs.Core;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pool force</c>: begins a shard anew from a stale copy when all that were in sync are gone for good.</summary>
/// <remarks>Order: (1) every node is asked for its copy and whom it hears; (2) an in-sync copy that may be alive refuses it; (3)
/// what is lost is said; (4) a person confirms; (5) all of it again, because an answer takes time; (6) one swap of the map.</remarks>
internal static class PoolForceCommand
{
    private static readonly Argument<ushort> Shard = new("shard") { Description = "The number of a shard: `kvfs pool shards`.", HelpName = "SHARD" };

    private static readonly Option<bool> AcceptLoss = new("--accept-loss")
    {
        Description = "What was acknowledged, and is not in the copy, is lost for good: that is accepted.",
    };

    private static readonly Option<string?> Node = new("--node")
    {
        Description = "The node whose copy it is to be. Default: the one of those that answer whose copy is furthest.",
        HelpName = "NODE",
    };

    private static readonly Option<string> Reason = new("--reason")
    {
        Description = "Why, for the record in the map.",
        HelpName = "TEXT",
        DefaultValueFactory = static _ => string.Empty,
    };

    private static readonly Option<bool> Yes = SharedOptions.Yes();

    public static Command Build()
    {
        Command command = new("force", "Begins a shard anew from a stale copy: only when every copy that was in sync is gone for good.")
        {
            Shard, AcceptLoss, Node, Reason, Yes, PoolOptions.Authority, PoolOptions.Certificates, PoolOptions.Pool, PoolOptions.Insecure,
        };
        command.Validators.Add(static result =>
        {
            if (!ShardLoss.IsText(result.GetValue(Reason) ?? string.Empty))
            {
                result.AddError($"--reason is at most {PoolLimits.LossTextBytes} characters of plain ASCII, without quotes and backslashes.");
            }
        });
        return command
            .WithExamples(
                ("kvfs pool force 3 --authority http://127.0.0.1:2379 --pki client --pool main", "only says what would be lost"),
                ("kvfs pool force 3 --accept-loss --reason \"two disks broke\" --authority http://127.0.0.1:2379 --pki client --pool main", "asks, then does it"))
            .Runs((context, cancel) => PoolCalls.UseAsync(context, (authority, calls) => RunAsync(context, authority, calls, cancel)));
    }

    private static async Task RunAsync(CommandContext context, IPoolAuthority authority, PoolCalls calls, CancellationToken cancel)
    {
        // 1 to 4.
        (PoolMap map, CopyReport copy) = await ChooseAsync(context, authority, calls, cancel).ConfigureAwait(false);
        ShardId shard = new(context.Get(Shard));
        ShardEntry entry = map[shard];
        string name = map.Find(copy.Process.Node)!.Name;
        string explanation = string.Join(' ', Explain(map, shard, copy));
        if (!context.Get(AcceptLoss))
        {
            throw new CommandException(ExitCode.Refused, explanation + " Nothing was changed.", "If that loss is accepted, pass --accept-loss.");
        }

        // Programs have it in the report.
        if (!context.WantsJson) { Console.Error.WriteLine(explanation); }
        CommandContext.Confirm($"Begin shard {shard} anew from the copy of '{name}', and lose what it lacks", context.Get(Yes));

        // 5, 6.
        LossAcceptance acceptance = new((ulong)TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(), WhoAmI(), context.Get(Reason));
        while (true)
        {
            (map, CopyReport again) = await ChooseAsync(context, authority, calls, cancel).ConfigureAwait(false);
            if (again.Process.Node != copy.Process.Node || again.Last != copy.Last || !map[shard].Equals(entry))
            {
                throw new CommandException(ExitCode.Failure, $"Shard {shard} has changed meanwhile; nothing was done.", "Look again, then decide again.");
            }

            MapChange change = PoolMapChange.Force(map, shard, entry, again.Process, again.Last!.Value, acceptance);
            if (!change.IsDone) { throw new CommandException(ExitCode.Failure, $"Not done: {change.Reason}."); }
            AuthorityAnswer answer = await authority.CompareAndSwapAsync(map.Revision, change.Map, cancel).ConfigureAwait(false);
            if (answer.Outcome == AuthorityOutcome.Ok)
            {
                Show(context, change.Map, shard, name);
                return;
            }

            if (answer.Outcome != AuthorityOutcome.Conflict)
            {
                throw new CommandException(
                    ExitCode.Failure, $"The authority did not decide: {answer.Reason}.", "Look with `kvfs pool status`, then try again.");
            }
        }
    }

    /// <summary>Asks all nodes, and chooses the copy.</summary>
    /// <exception cref="CommandException">None may be it.</exception>
    private static async Task<(PoolMap Map, CopyReport Copy)> ChooseAsync(
        CommandContext context, IPoolAuthority authority, PoolCalls calls, CancellationToken cancel)
    {
        PoolMap map = await PoolOptions.ReadMapAsync(authority, cancel).ConfigureAwait(false);
        ShardId shard = new(context.Get(Shard));
        if (shard.Value >= map.Shards.Length)
        {
            throw new CommandException(ExitCode.NotFound, $"The pool has no shard {shard}.", $"It has shards 0 to {map.Shards.Length - 1}.");
        }

        NodeId? wanted = null;
        if (context.Get(Node) is { } name)
        {
            wanted = map.Find(name)?.Id ?? throw new CommandException(ExitCode.NotFound, $"The pool has no node '{name}'.", "See `kvfs pool nodes`.");
        }

        IReadOnlyList<CopyReport> copies = await calls.CopiesAsync(map, shard, cancel).ConfigureAwait(false);
        ForcedChoice choice = ForcedStart.Choose(map[shard], PoolView.Of(map).Members, copies, wanted, node => $"'{map.Find(node)?.Name ?? node.ToString()}'");
        if (choice.Copy is { } copy) { return (map, copy); }
        throw new CommandException(
            ExitCode.Refused,
            $"Shard {shard} is not forced: {choice.Reason}.",
            choice.Status == Status.NotPermitted
                ? "If that node's copy is gone for good, stop the node, and keep it stopped; otherwise wait."
                : "Start a node that has a copy of it, then try again.");
    }

    private static IEnumerable<string> Explain(PoolMap map, ShardId shard, CopyReport copy)
    {
        ShardEntry entry = map[shard];
        LogPosition last = copy.Last!.Value;
        string gone = string.Join(", ", entry.InSync.Select(replica => $"'{map.Find(replica.Node)!.Name}'"));
        yield return $"Shard {shard} is at epoch {entry.Epoch}. In sync last, and not to be found: {gone}.";
        yield return last.Index.Value == 0
            ? $"The copy of '{map.Find(copy.Process.Node)!.Name}' is empty: all drives of this shard are lost."
            : $"The copy of '{map.Find(copy.Process.Node)!.Name}' ends at entry {last.Index} of epoch {last.Epoch}. How much was acknowledged behind it only those know that are gone; all of it is lost.";
        yield return "Files whose data that node had not fetched yet can be seen, and not be read.";
        yield return $"If {gone} come back, they get this copy's state, and what only they have is dropped.";
    }

    private static void Show(CommandContext context, PoolMap map, ShardId shard, string node)
    {
        PoolLossReport loss = PoolLossReport.Of(map, map[shard].Loss!);
        ForceReport report = new(shard.Value, node, loss);
        context.Show(
            report, ControlJson.Readable.ForceReport,
            output => output.WriteLine($"Shard {shard} begins anew at epoch {loss.Epoch} from the copy of '{node}'. That stands in the map: `kvfs pool status`."));
    }

    /// <summary>The user of this process and where it runs, in the characters that a record may have.</summary>
    private static string WhoAmI()
    {
        string name = new([.. $"{Environment.UserName}@{Environment.MachineName}".Where(static one => ShardLoss.IsText(one.ToString()))]);
        return name[..Math.Min(name.Length, PoolLimits.LossTextBytes)];
    }
}
