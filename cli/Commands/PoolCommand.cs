using System.CommandLine;
using System.Globalization;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;
using KvFs.Cli.Pool;
using KvFs.Core;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pool …</c>: looks at a pool's map, and changes what it wants of nodes.</summary>
internal static class PoolCommand
{
    private static readonly Argument<string> NodeName = new("node") { Description = "The name of a node.", HelpName = "NODE" };

    private static readonly Option<bool> Yes = new("--yes", "-y") { Description = "Do not ask." };

    public static Command Build() => new("pool", "Shows a pool of several nodes, and changes what it wants of them.")
    {
        Show("status", "How the pool is: nodes, copies, and what is at risk.", ShowStatus),
        Show("nodes", "The nodes, and what each of them carries.", ShowNodes),
        Show("shards", "The shards, and who keeps each of them.", ShowShards),
        Change("drain", "Moves all copies off a node, primacies first; it goes on serving meanwhile.", PoolMapChange.Drain, "drains"),
        Change("undrain", "Lets a node that was draining keep copies again.", PoolMapChange.Undrain, "is up"),
        Change("remove", "Removes a node for good; it must be drained.", PoolMapChange.Remove, "is removed for good", asks: true),
        PoolReplaceCommand.Build(),
        PoolRebalanceCommand.Build(),
        PoolForceCommand.Build(),
        PoolRebuildCommand.Build(),
    };

    private static Command Show(string name, string description, Action<TextWriter, PoolReport> forPeople) =>
        new Command(name, description) { PoolOptions.Authority, PoolOptions.Certificates, PoolOptions.Pool, PoolOptions.Insecure }
            .WithExamples(
                ($"kvfs pool {name} --authority http://127.0.0.1:2379 --pki client --pool main", "asks the nodes, too: who is there, and how it goes"),
                ($"kvfs pool {name} --authority http://127.0.0.1:2379", "only what the map in that etcd says"))
            .Runs(async (context, cancel) =>
            {
                PoolReport report = await ReportAsync(context, cancel).ConfigureAwait(false);
                context.Show(report, ControlJson.Readable.PoolReport, output => forPeople(output, report));
            });

    private static async Task<PoolReport> ReportAsync(CommandContext context, CancellationToken cancel)
    {
        PoolReport? report = null;
        if (context.Get(PoolOptions.Insecure) || context.Get(PoolOptions.Certificates) is not null)
        {
            await PoolCalls.UseAsync(context, async (authority, calls) =>
            {
                PoolMap map = await PoolOptions.ReadMapAsync(authority, cancel).ConfigureAwait(false);
                report = PoolReport.Of(map, await calls.AnswersWithCopiesAsync(map, cancel).ConfigureAwait(false));
            }).ConfigureAwait(false);
            return report!;
        }

        IPoolAuthority authority = PoolOptions.OpenAuthority(context);
        await using (authority.ConfigureAwait(false))
        {
            return PoolReport.Of(await PoolOptions.ReadMapAsync(authority, cancel).ConfigureAwait(false), answers: null);
        }
    }

    private static Command Change(
        string name, string description, Func<PoolMap, NodeId, MapChange> change, string done, bool asks = false)
    {
        Command command = new(name, description) { NodeName, PoolOptions.Authority };
        if (asks) { command.Options.Add(Yes); }
        return command
            .WithExamples(($"kvfs pool {name} n2 --authority http://127.0.0.1:2379", "by name"))
            .Runs(async (context, cancel) =>
            {
                string node = context.Get(NodeName);
                if (asks) { CommandContext.Confirm($"Remove node '{node}' for good", context.Get(Yes)); }
                IPoolAuthority authority = PoolOptions.OpenAuthority(context);
                await using (authority.ConfigureAwait(false)) { await ChangeAsync(authority, map => change(map, Find(map, node)), cancel).ConfigureAwait(false); }
                context.Show(new DoneReport($"Node '{node}' {done}."));
            });
    }

    /// <summary>Has the map changed, however often it becomes another one meanwhile.</summary>
    /// <exception cref="CommandException">It is not changed.</exception>
    internal static async Task ChangeAsync(IPoolAuthority authority, Func<PoolMap, MapChange> change, CancellationToken cancel)
    {
        while (true)
        {
            PoolMap map = await PoolOptions.ReadMapAsync(authority, cancel).ConfigureAwait(false);
            MapChange changed = change(map);
            if (changed.Status == Status.Exists) { return; }
            if (!changed.IsDone) { throw new CommandException(ExitCode.Refused, $"Not done: {changed.Reason}."); }
            AuthorityAnswer answer = await authority.CompareAndSwapAsync(map.Revision, changed.Map, cancel).ConfigureAwait(false);
            if (answer.Outcome == AuthorityOutcome.Ok) { return; }
            if (answer.Outcome != AuthorityOutcome.Conflict)
            {
                throw new CommandException(ExitCode.Failure, $"The authority did not decide: {answer.Reason}.", "Look with `kvfs pool nodes`, then try again.");
            }
        }
    }

    /// <exception cref="CommandException">There is no such node.</exception>
    internal static NodeId Find(PoolMap map, string node) => map.Find(node)?.Id ?? throw new CommandException(
        ExitCode.NotFound,
        $"The pool has no node '{node}'.",
        $"It has: {string.Join(", ", map.Nodes.Where(static one => one.State != NodeState.Gone).Select(static one => one.Name))}.");

    private static void ShowStatus(TextWriter output, PoolReport report)
    {
        output.WriteLine($"Pool {report.Pool}, map revision {report.Revision}");
        output.WriteLine($"{report.Nodes.Count} nodes, {report.Replicas} copies, {report.MinInSync} of them at least");
        output.WriteLine(report.Summary);
        if (report.Nodes.All(static node => node.Presence is null))
        {
            output.WriteLine("That is what the map says; nodes were not asked (--pki and --pool, or --insecure).");
        }

        foreach (PoolNodeReport node in report.Nodes)
        {
            if (node.Trouble is { } trouble) { output.WriteLine($"Node {node.Name}: {trouble}"); }
        }

        foreach (PoolShardReport shard in report.Shards)
        {
            if (shard.Loss is { } loss) { output.WriteLine($"Shard {shard.Number} {loss}"); }
        }

        PoolStatusView.Write(output, report);
        output.WriteLine();
        ShowNodes(output, report);
    }

    private static void ShowNodes(TextWriter output, PoolReport report)
    {
        TableView table = new(
            new("Node"), new("Name"), new("Address"), new("Zone"), new("State"), new("Seen"), new("Primary", true), new("In sync", true), new("Learning", true));
        foreach (PoolNodeReport node in report.Nodes)
        {
            table.Add(
                Text(node.Number), node.Name, node.Address, node.Zone.Length == 0 ? "-" : node.Zone, node.State, node.Presence ?? "-", Text(node.Primaries), Text(node.InSync), Text(node.Learning));
        }

        table.Write(output);
    }

    private static void ShowShards(TextWriter output, PoolReport report)
    {
        TableView table = new(new("Shard", true), new("Epoch", true), new("Primary", true), new("In sync"), new("Learning"), new("Condition"));
        foreach (PoolShardReport shard in report.Shards)
        {
            table.Add(
                Text(shard.Number), Text(shard.Epoch), Text(shard.Primary), List(shard.InSync), List(shard.Learning), shard.Condition);
        }

        table.Write(output);

        static string List(IReadOnlyList<uint> nodes) => nodes.Count == 0 ? "-" : string.Join(',', nodes);
    }

    private static string Text(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);
}
