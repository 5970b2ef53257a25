using System.CommandLine;
using System.Globalization;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;
using KvFs.Cli.Pool;
using KvFs.Core;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pool rebuild</c>: puts a pool map that the authority has lost, or has an older one of, together from what nodes know.</summary>
/// <remarks>Order: (1) every node is asked which map it knows, and after that the authority; (2) a node that does not answer refuses it, unless a person declares it gone; (3)
/// what the map will say is shown; (4) a person confirms; (5) one swap of what stood in the authority. Nodes that refuse the older map change
/// nothing meanwhile; what others change makes the swap fail.</remarks>
internal static class PoolRebuildCommand
{
    private static readonly Option<string?> Servers = new("--server")
    {
        Description = "Nodes of the pool, as many as you know: needed where the authority has no map that says where they are.",
        HelpName = "HOST:PORT[,…]",
    };

    private static readonly Option<string[]> Without = new("--without")
    {
        Description = "A node that is gone for good and need not answer. What only it knew is given up. May be given several times.",
        HelpName = "NODE",
    };

    private static readonly Option<bool> Yes = SharedOptions.Yes();

    public static Command Build() =>
        new Command("rebuild", "Puts a pool map that was lost, or set back to an older one, together from what the nodes know.")
        {
            Servers, Without, Yes, PoolOptions.Authority, PoolOptions.Certificates, PoolOptions.Pool, PoolOptions.Insecure,
        }
        .WithExamples(
            ("kvfs pool rebuild --authority http://127.0.0.1:2379 --pki client --pool main", "an older map stands there: shows what will be, and asks"),
            ("kvfs pool rebuild --server 10.0.0.1:9740 --without n3 --authority http://127.0.0.1:2379 --pki client --pool main", "no map is there, and n3 will never be"))
        .Runs((context, cancel) => PoolCalls.UseAsync(context, (authority, calls) => RunAsync(context, authority, calls, cancel)));

    private static async Task RunAsync(CommandContext context, IPoolAuthority authority, PoolCalls calls, CancellationToken cancel)
    {
        // 1.
        PoolMap? standing = await ReadAsync(authority, cancel).ConfigureAwait(false);
        string[] addresses =
        [
            .. context.Get(Servers)?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [],
            .. standing?.Nodes.Where(static node => node.State != NodeState.Gone).SelectMany(static node => node.Addresses) ?? [],
        ];
        if (addresses.Length == 0)
        {
            throw new CommandException(ExitCode.Usage, "There is no pool map in this authority that says where nodes are.", "Name one that runs, or more: --server HOST:PORT.");
        }

        IReadOnlyList<KnownMap> told = await calls.KnownMapsAsync(addresses, cancel).ConfigureAwait(false);

        // A pool in which nothing is lost goes on meanwhile: what nodes know was there by now.
        standing = await ReadAsync(authority, cancel).ConfigureAwait(false);

        // 2.
        NodeId[] without = FindAll(context.Get(Without) ?? [], [.. told.Select(static one => one.Map), .. standing is null ? [] : (PoolMap[])[standing]]);
        MapChange change = PoolMapRebuild.Decide(standing, told, without);
        if (change.Status == Status.Exists)
        {
            context.Show(new DoneReport($"Nothing is to be rebuilt: {change.Reason}."));
            return;
        }

        if (!change.IsDone)
        {
            throw new CommandException(
                change.Status == Status.NotFound ? ExitCode.NotRunning : ExitCode.Refused,
                $"The map is not rebuilt: {change.Reason}.",
                change.Status == Status.Invalid
                    ? "Restore the newest copy of the map that there is, by hand."
                    : "Start the nodes, with this authority, and name with --server where they are; for one that is gone for good pass --without NODE.");
        }

        // 3, 4.
        RebuildReport report = RebuildReport.Of(standing, change.Map, told, without);
        context.Show(report, ControlJson.Readable.RebuildReport, output => Write(output, report));
        CommandContext.Confirm($"Put this map into the authority, as revision {report.Revision}", context.Get(Yes));

        // 5.
        AuthorityAnswer answer = await authority.CompareAndSwapAsync(standing?.Revision ?? 0, change.Map, cancel).ConfigureAwait(false);
        if (answer.Outcome != AuthorityOutcome.Ok)
        {
            throw new CommandException(ExitCode.Failure, $"The map was not put: {answer.Reason}.", "Look with `kvfs pool status`, then try again.");
        }

        if (!context.WantsJson) { Console.Out.WriteLine("The map stands in the authority. Nodes go on with it within seconds: `kvfs pool status`."); }
    }

    /// <summary>What stands in the authority; null: nothing.</summary>
    /// <exception cref="CommandException">That cannot be told.</exception>
    private static async Task<PoolMap?> ReadAsync(IPoolAuthority authority, CancellationToken cancel)
    {
        AuthorityAnswer answer = await authority.ReadAsync(cancel).ConfigureAwait(false);
        return answer.Outcome switch
        {
            AuthorityOutcome.Ok => answer.Map,
            AuthorityOutcome.Damaged => throw new CommandException(
                ExitCode.Damaged, $"What stands in the authority is no map: {answer.Reason}.", "Take it away from there, and keep a copy; then rebuild the map."),
            _ => throw new CommandException(ExitCode.NotRunning, $"The authority does not answer: {answer.Reason}."),
        };
    }

    /// <exception cref="CommandException">No map has a node of that name.</exception>
    private static NodeId[] FindAll(IReadOnlyList<string> names, IReadOnlyList<PoolMap> maps) =>
    [
        // A name may have been given anew: the newest map says who has it.
        .. names.Select(name => maps.OrderByDescending(static map => map.Revision).Select(map => map.Find(name)).FirstOrDefault(static node => node is not null)?.Id
            ?? throw new CommandException(ExitCode.NotFound, $"No map that is known has a node '{name}'.")),
    ];

    private static void Write(TextWriter output, RebuildReport report)
    {
        output.WriteLine(report.Before is { } before
            ? $"Pool {report.Pool}: the authority has a map of revision {before}, and nodes know newer ones."
            : $"Pool {report.Pool}: the authority has no map.");
        TableView nodes = new(new("Node"), new("Knows revision", true));
        foreach (KnownMapReport node in report.Nodes) { nodes.Add(node.Node, Text(node.Revision)); }
        foreach (string gone in report.Without) { nodes.Add(gone, "declared gone"); }
        nodes.Write(output);
        output.WriteLine();
        TableView shards = new(new("Shard", true), new("Epoch there", true), new("Epoch", true), new("Primary"), new("In sync"));
        foreach (RebuiltShardReport shard in report.Shards)
        {
            shards.Add(Text(shard.Shard), shard.EpochBefore is { } epoch ? Text(epoch) : "-", Text(shard.Epoch), shard.Primary, string.Join(',', shard.InSync));
        }

        if (report.Shards.Count > 0) { shards.Write(output); }

        static string Text(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);
    }
}
