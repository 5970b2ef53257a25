using System.CommandLine;
using System.Globalization;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Output;
using KvFs.Cli.Pool;
using KvFs.Core;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pool rebalance</c>: how far a pool is from what its ring wants, and the rest of the way.</summary>
/// <remarks>Nodes move copies by themselves, and primacies where they are shared unevenly by more than an eighth. What is left for
/// a person to ask for is the last of it: primacies as even as can be, at the ring's first nodes where that allows. Each primary is
/// asked to hand over, as it does in a plan of its own, so clients see a pause of a fraction of a second for each shard.</remarks>
internal static class PoolRebalanceCommand
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(250);

    private static readonly Option<bool> DryRun = new("--dry-run") { Description = "Only show what would move." };

    private static readonly Option<bool> NoWait = new("--no-wait") { Description = "Have it begin, and do not wait for the end." };

    private static readonly Option<bool> Yes = SharedOptions.Yes();

    public static Command Build() =>
        new Command("rebalance", "Moves copies and primacies to where the ring wants them, and waits until they are there.")
        {
            DryRun, NoWait, Yes, PoolOptions.Authority, PoolOptions.Certificates, PoolOptions.Pool, PoolOptions.Insecure,
        }
        .WithExamples(
            ("kvfs pool rebalance --dry-run --authority http://127.0.0.1:2379 --pki client --pool main", "what would move"),
            ("kvfs pool rebalance --yes --authority http://127.0.0.1:2379 --pki client --pool main", "move it, without a question"))
        .Runs((context, cancel) => PoolCalls.UseAsync(context, (authority, calls) => RunAsync(context, authority, calls, cancel)));

    private static async Task RunAsync(CommandContext context, IPoolAuthority authority, PoolCalls calls, CancellationToken cancel)
    {
        PoolMap map = await PoolOptions.ReadMapAsync(authority, cancel).ConfigureAwait(false);
        Func<NodeId, NodePresence> presence = (await calls.AnswersAsync(map, cancel).ConfigureAwait(false)).PresenceOf;
        RebalanceReport plan = RebalanceReport.Of(map, presence);
        if (plan.Absent.Count == map.Nodes.Count(static node => node.State != NodeState.Gone))
        {
            throw new CommandException(
                ExitCode.NotRunning, "No node of the pool answers.", "Check that they run, and that the certificates are of that pool.");
        }

        context.Show(plan, ControlJson.Readable.RebalanceReport, output => Write(output, plan));
        if (plan.Moves == 0 || context.Get(DryRun)) { return; }
        CommandContext.Confirm($"Make {plan.Copies.Count} copies, drop {plan.Drops.Count}, and hand {plan.Primaries.Count} shards over", context.Get(Yes));
        if (context.Get(NoWait))
        {
            await HandOverAsync(calls, map, presence, new(0, 0, int.MaxValue), cancel).ConfigureAwait(false);
            return;
        }

        int most = plan.Moves;
        using (ProgressLine progress = new())
        {
            while (plan.Moves > 0)
            {
                progress.Report(new ProgressReport("rebalancing", most - plan.Moves, most));
                await HandOverAsync(calls, map, presence, PlacementLimits.Default, cancel).ConfigureAwait(false);
                await Task.Delay(s_look, cancel).ConfigureAwait(false);
                map = await PoolOptions.ReadMapAsync(authority, cancel).ConfigureAwait(false);
                presence = (await calls.AnswersAsync(map, cancel).ConfigureAwait(false)).PresenceOf;
                plan = RebalanceReport.Of(map, presence);
                most = Math.Max(most, plan.Moves);
            }
        }

        if (context.WantsJson) { return; }
        Console.Out.WriteLine(plan.Absent.Count == 0
            ? "Everything is where the ring wants it."
            : $"Done as far as can be without {string.Join(", ", plan.Absent)}.");
    }

    /// <summary>Asks primaries to hand over what the planner wants to be served elsewhere. Who does not is asked again with the next
    /// plan.</summary>
    private static async Task HandOverAsync(
        PoolCalls calls, PoolMap map, Func<NodeId, NodePresence> presence, PlacementLimits limits, CancellationToken cancel)
    {
        foreach (PlacementStep step in PlacementPlanner.Plan(map, limits, presence, evenly: true))
        {
            if (step.Kind != PlacementStepKind.MovePrimary) { continue; }
            V1.HandOverReply? reply = await calls.HandOverAsync(map, step.Shard, step.Node, cancel).ConfigureAwait(false);
            if (reply is { Status: not (V1.Status.Ok or V1.Status.StaleEpoch or V1.Status.Invalid) })
            {
                throw new CommandException(ExitCode.Failure, $"Shard {step.Shard} is not handed over: {reply.Status}.", "See the log of its primary.");
            }
        }
    }

    private static void Write(TextWriter output, RebalanceReport plan)
    {
        if (plan.Absent.Count > 0) { output.WriteLine($"No answer from {string.Join(", ", plan.Absent)}: what only they could do, or get, waits."); }
        if (plan.Moves == 0)
        {
            output.WriteLine("Nothing is to be moved.");
            return;
        }

        TableView table = new(new("Shard", true), new("Move"), new("From"), new("To"));
        foreach (CopyMove copy in plan.Copies) { table.Add(Text(copy.Shard), copy.IsUnderWay ? "copy, under way" : "copy", "-", copy.To); }
        foreach (CopyDrop drop in plan.Drops) { table.Add(Text(drop.Shard), "drop", drop.From, "-"); }
        foreach (PrimaryMove primary in plan.Primaries) { table.Add(Text(primary.Shard), "primary", primary.From, primary.To); }
        table.Write(output);

        static string Text(ushort shard) => shard.ToString(CultureInfo.InvariantCulture);
    }
}
