using Xunit.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>Nodes on a network of their own, whose cables are pulled or lose what goes one way. Nothing that was answered is lost, no two
/// primaries answer at once, others go on, and once all is mended, everything has all its copies.</summary>
public sealed class PartitionTests(ITestOutputHelper output)
{
    private const int Nodes = 3;

    /// <summary>What is done to the network, the primary of a drive, and one of its replicas; whether another node is to become primary,
    /// else that is as it may be.</summary>
    private sealed record Cut(string Name, Action<NodeNetwork, int, int> Make, bool IsReplaced);

    private static readonly Cut[] s_cuts =
    [
        new("the primary's cable is pulled", static (network, primary, _) => network.Pull(primary), true),
        new(
            "only clients reach the primary",
            static (network, primary, _) =>
            {
                foreach (int other in Enumerable.Range(1, Nodes).Where(other => other != primary)) { network.Part(primary, other); }
            },
            true),
        new("the primary and a replica do not reach each other", static (network, primary, replica) => network.Part(primary, replica), false),
        new("a replica does not hear the primary", static (network, primary, replica) => network.Lose(primary, replica), false),
        new("the primary does not hear a replica", static (network, primary, replica) => network.Lose(replica, primary), false),
    ];

    [NetworkFact]
    public async Task Whoever_does_not_reach_whom_others_go_on_and_nothing_is_lost()
    {
        using NodeNetwork network = NodeNetwork.Create(Nodes);
        await using PoolProcesses pool = await PoolProcesses.StartAsync(Nodes, new() { Network = network });
        await using RegisterUse register = await RegisterUse.StartAsync(pool, "register");
        await using FileWriter files = await FileWriter.StartAsync(pool, "files");
        foreach (Cut cut in Enumerable.Repeat(s_cuts, Rounds.Few).SelectMany(static all => all))
        {
            await register.MoreAsync(20);
            int primary = pool.PrimaryOf("register");
            int replica = await pool.ReplicaOfAsync("register");
            register.TakeLongestPause();
            cut.Make(network, primary, replica);
            if (cut.IsReplaced) { await pool.NoPrimaryAsync(primary); }
            else { await pool.MapThatAsync(static map => map.Shards.Any(static shard => shard.InSync.Length < Nodes), "nobody is missed"); }
            await register.MoreAsync(100);
            await files.MoreAsync(10);
            TimeSpan pause = register.TakeLongestPause();
            network.Heal();
            long healed = TimeProvider.System.GetTimestamp();
            await pool.WholeAsync();
            output.WriteLine(
                $"{cut.Name}: longest pause {pause.TotalSeconds:f2} s, whole {TimeProvider.System.GetElapsedTime(healed).TotalSeconds:f2} s after it was mended");
        }

        await register.MoreAsync(20);
        await register.CheckAsync();
        await files.CheckAsync();
        output.WriteLine($"{register.Operations} operations on the register, {files.Count} files, 0 lost");
    }
}
