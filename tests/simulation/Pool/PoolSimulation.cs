using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>One run of a pool from one seed: faults and clients, then quiet, then everything is checked.</summary>
internal sealed class PoolSimulation
{
    private static readonly TimeSpan s_faults = TimeSpan.FromSeconds(60);

    /// <summary>Within which a pool is in full health again after all faults end: a cold start's wait, some takeovers, and the
    /// replacement of a node that is gone.</summary>
    private static readonly TimeSpan s_healing = TimeSpan.FromSeconds(180);

    /// <summary>Within which every client is answered, once nothing fails any more: it asks again after eight seconds at most, and a node
    /// that it asks may be gone or not serve the shard.</summary>
    private static readonly TimeSpan s_ending = TimeSpan.FromSeconds(60);

    /// <summary>Within which nothing is under way any more once clients have stopped: sessions end, dead blocks wait for readers, and copies
    /// are compared.</summary>
    private static readonly TimeSpan s_settling = TimeSpan.FromSeconds(30);

    private readonly bool cutsAll;

    public PoolSimulation(int seed, PoolBug bug = PoolBug.None)
    {
        // The shape of the pool is part of the seed.
        int nodes = seed % 5 == 0 ? 3 + (seed / 5 % 7) : 3 + (seed % 3);
        cutsAll = seed % 4 == 3;
        TimeSpan coldStartWait = cutsAll ? TimeSpan.FromSeconds(3) : TimeSpan.FromSeconds(120);
        World = new(seed, nodes, shards: 1 + (seed / 3 % 3), coldStartWait, bug);
    }

    public PoolWorld World { get; }

    public int Answered => World.Clients.Sum(static client => client.Answered) + World.NamespaceClients.Sum(static client => client.Answered);

    /// <exception cref="PoolFailedException">What went wrong.</exception>
    public void Run()
    {
        foreach (SimulatedNode node in World.Nodes) { node.Start(); }
        foreach (SimulatedClient client in World.Clients) { client.Start(); }
        foreach (NamespaceClient client in World.NamespaceClients) { client.Start(); }
        PoolFaults faults = new(World, cutsAll);
        faults.Start();
        SimulatedPlanner planner = new(World);
        planner.Start();
        World.Run(s_faults);
        faults.Stop();
        planner.Stop();
        Heal();
        foreach (SimulatedClient client in World.Clients) { client.Stop(); }
        foreach (NamespaceClient client in World.NamespaceClients.Concat(World.CloneClients)) { client.Stop(); }
        End();
        Settle();
        for (int shard = 0; shard < World.Authority.View.Reigns.Length; shard++) { Check(shard); }
    }

    /// <summary>Runs on until every shard is served by all of its copies, and nodes that are gone are replaced.</summary>
    private void Heal()
    {
        TimeSpan latest = World.Now + s_healing;
        while (World.Operator.UnderWay > 0 || !World.Authority.View.Reigns.All(IsHealthy))
        {
            if (World.Now >= latest)
            {
                string ill = string.Join("; ", World.Authority.View.Reigns
                    .Where(reign => !IsHealthy(reign))
                    .Select(static reign => reign.ToString()));
                throw new PoolFailedException($"not in full health {s_healing} after the last fault, {World.Operator.UnderWay} nodes to be replaced: {ill}");
            }

            World.Run(World.Now + TimeSpan.FromMilliseconds(500));
        }
    }

    /// <summary>Runs on until no client waits for an answer: one that stands still may find its session over, more than once.</summary>
    private void End()
    {
        TimeSpan latest = World.Now + s_ending;
        World.Run(World.Now + TimeSpan.FromSeconds(10));
        while (World.Now < latest && !World.NamespaceClients.Concat(World.CloneClients).All(static client => client.IsDone)) { World.Run(World.Now + TimeSpan.FromSeconds(1)); }
    }

    private bool IsHealthy(Reign reign) =>
        World.Nodes.Any(node => node.IsHealthy(reign.Shard)) && !reign.Members.Any(node => World.NodeOf(node).HasBad(reign.Shard));

    /// <summary>Runs on until nothing is under way between replicas: sessions still come to their end, and what they leave goes.</summary>
    private void Settle()
    {
        TimeSpan latest = World.Now + s_settling;
        while (World.Now < latest && !World.Authority.View.Reigns.All(IsSettled)) { World.Run(World.Now + TimeSpan.FromMilliseconds(50)); }
    }

    private bool IsSettled(Reign reign)
    {
        LogIndex last = World.NodeOf(reign.Primary).Disks[reign.Shard].Now.Last;
        return reign.InSync.All(replica => World.NodeOf(replica.Node).Disks[reign.Shard].Now is { } copy
            && copy.Applied == copy.Last && copy.Last == last
            && !copy.Blocks.Values.Any(static block => block.IsBad)
            && copy.FindUnknown(copy.Blocks.Keys).Count == 0
            && DriveCatalog.Read(copy.Records).Entries.Length <= 1
            && !HasOrphans(copy, PoolWorld.DriveOf(reign.Shard)));
    }

    /// <summary>Whether there are VNodes without a name: sessions end, and nobody holds them any more.</summary>
    private static bool HasOrphans(ShardDisk copy, DriveId drive) =>
        SimulatedDrive.HasOrphans(new StoredDriveView(copy.Records, [new(drive, CowNumber.Head)]));

    private void Check(int number)
    {
        ShardId shard = new((ushort)number);
        SimulatedNode primary = World.Nodes.Single(node => node.MayAnswer(shard));
        ShardDisk disk = primary.Disks[shard].Now;
        foreach (InSyncReplica replica in World.Authority.ReignOf(shard).InSync)
        {
            ShardDisk other = World.NodeOf(replica.Node).Disks[shard].Now;
            if (other.Last != disk.Last || !other.Values.SequenceEqual(disk.Values) || !other.Records.IsSameAs(disk.Records))
            {
                throw new PoolFailedException($"nodes {primary.Id} and {replica.Node} have different copies of shard {shard}");
            }
        }

        Check(shard, disk.Values, [.. World.Clients.SelectMany(static client => client.Operations).Where(one => one.Shard == number)]);
        DriveId drive = PoolWorld.DriveOf(shard);
        DriveCheck.Run(disk.Records, drive);
        if (HasOrphans(disk, drive)) { throw new PoolFailedException($"drive {drive} keeps files that have no name"); }
        if (DriveCatalog.Read(disk.Records).Entries is { Length: > 1 } drives)
        {
            throw new PoolFailedException($"drives {string.Join(", ", drives.Select(static one => $"{one.Drive} {one.Policy.Flags}"))} are there, and all clones were deleted");
        }

        if (World.CloneClients.Find(client => client.Shard == shard && !client.IsDone) is { } left)
        {
            throw new PoolFailedException($"client {left.Number} of a clone is not answered");
        }

        NamespaceClient[] clients = [.. World.NamespaceClients.Where(client => client.Shard == shard)];
        foreach (InSyncReplica replica in World.Authority.ReignOf(shard).InSync)
        {
            ShardDisk copy = World.NodeOf(replica.Node).Disks[shard].Now;
            foreach (NamespaceClient client in clients) { client.Check(copy); }
            if (copy.FindUnknown(copy.Blocks.Keys) is { Count: > 0 } unknown)
            {
                throw new PoolFailedException($"node {replica.Node} keeps blocks {string.Join(", ", unknown)}, which nothing knows");
            }
        }

        Check(shard, NamespaceClient.ReadList(disk.Records, drive) ?? [], [.. clients.SelectMany(static client => client.SharedOperations)]);
    }

    /// <summary>Checks what clients saw of a list.</summary>
    private void Check(ShardId shard, IReadOnlyList<long> final, List<PoolOperation> operations)
    {
        HashSet<long> there = [.. final];
        PoolOperation? kept = operations.Find(one => one.IsToldLost && there.Contains(one.Value));
        if (kept is not null) { throw new PoolFailedException($"{kept.Value} was told to be lost, and is there"); }
        if (cutsAll)
        {
            // What was only answered may be gone with the power, and with it what reads saw.
            PoolOperation? lost = operations.Find(one => one.IsDurable && !there.Contains(one.Value));
            if (lost is not null) { throw new PoolFailedException($"{lost.Value}, durable at {lost.Ended}, is lost"); }
        }
        else if (PoolHistory.Check(operations, final) is { } wrong)
        {
            throw new PoolFailedException($"shard {shard}: {wrong}");
        }
    }
}
