using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol.Wire;

namespace KvFs.Client.Remote;

/// <summary>Finds copies of blocks that are nearer than their primary.</summary>
/// <remarks>
/// Thread safe. Nearest is a node on this machine: the one that the client was told of by name, or one whose address is this machine's; then one
/// in the same zone; then all others. Where the primary has the block and is as near as any, it is asked, on the session's stream. A node that did not give what it
/// was asked for is left alone for a while, and so is one that cannot be connected to.
/// </remarks>
internal sealed class NearCopies(PoolDriveAdmin pool, RemoteClientOptions options) : IDisposable
{
    private const int OnThisMachine = 0;
    private const int InThisZone = 1;
    private const int Elsewhere = 2;

    /// <summary>So much less often the map is looked at while no node is near: one may come.</summary>
    private const int LearnPauses = 12;

    private readonly Lock gate = new();
    private readonly Dictionary<NodeId, Link> links = [];
    private readonly CancellationTokenSource ending = new();
    private Distances? distances;
    private long learnedAt = options.AwakeClock.GetTimestamp();
    private bool isLearning;

    /// <summary>The copy from which a block is to be read; null: the primary of the session's drive.</summary>
    /// <param name="block">Which.</param>
    /// <param name="spread">Percent of the pool's shards over which its owner's blocks are spread.</param>
    public CopyStream? Find(BlockName block, int spread)
    {
        if (pool.Known is not { } map) { return null; }
        Distances known;
        lock (gate)
        {
            if (distances?.Map != map) { distances = new(map, options.Near); }
            known = distances;
            Learn(known.IsAnyNear || spread != 0 ? options.NearPause : LearnPauses * options.NearPause);
        }

        // From the nearest to those that are still nearer than the primary; if that one would have to fetch the block itself, to all.
        int home = HomeShard.Of(block.Owner, map.Primaries.Length).Value;
        int shard = spread == 0 ? home : ShardOfBlock.Of(block, spread, map.Primaries.Length).Value;
        ImmutableArray<NodeId> holders = map.Holders[shard];
        bool hasPrimary = shard == home || holders.Contains(map.Primaries[home]);
        int end = hasPrimary ? known.OfPrimary(home) : Elsewhere + 1;

        // Those that are as near as each other share the blocks.
        int first = shard == home || holders.IsEmpty ? 0 : (int)(block.Id.Value % (ulong)holders.Length);
        for (int distance = OnThisMachine; distance < end; distance++)
        {
            for (int step = 0; step < holders.Length; step++)
            {
                int at = (first + step) % holders.Length;
                if (known.Of(shard)[at] == distance && StreamTo(holders[at], map) is { } stream) { return stream; }
            }
        }

        return null;
    }

    /// <summary>A stream did not give what it was asked for: it is not used for a while.</summary>
    public void OnFailed(CopyStream stream)
    {
        lock (gate)
        {
            foreach (Link link in links.Values)
            {
                if (link.Stream == stream) { link.FailedAt = options.AwakeClock.GetTimestamp(); }
            }
        }
    }

    public void Dispose()
    {
        List<CopyStream> open = [];
        lock (gate)
        {
            if (ending.IsCancellationRequested) { return; }
            ending.Cancel();
            foreach (Link link in links.Values)
            {
                if (link.Stream is { } stream) { open.Add(stream); }
            }

            links.Clear();
        }

        foreach (CopyStream stream in open) { stream.Dispose(); }
        ending.Dispose();
    }

    /// <summary>The stream to a node; null: there is none now. One that is missing is made, for whoever asks later.</summary>
    private CopyStream? StreamTo(NodeId node, PoolDirectory map)
    {
        lock (gate)
        {
            if (ending.IsCancellationRequested || !map.Nodes.TryGetValue(node, out string? address)) { return null; }
            if (!links.TryGetValue(node, out Link? link)) { links[node] = link = new(); }
            if (link.FailedAt is { } failedAt && options.AwakeClock.GetElapsedTime(failedAt) < options.NearPause) { return null; }
            if (link.Stream is { IsOver: false } stream) { return stream; }
            if (!link.IsDialling)
            {
                link.IsDialling = true;
                _ = DialAsync(link, address, ending.Token);
            }

            return null;
        }
    }

    private async Task DialAsync(Link link, string address, CancellationToken end)
    {
        CopyStream? made = null;
        try
        {
            made = await CopyStream.TryOpenAsync(pool.ChannelTo(address), options, end);
        }
        finally
        {
            bool isLate;
            lock (gate)
            {
                isLate = end.IsCancellationRequested;
                link.IsDialling = false;
                link.Stream = isLate ? null : made;
                link.FailedAt = made is null ? options.AwakeClock.GetTimestamp() : null;
            }

            if (isLate) { made?.Dispose(); }
        }
    }

    /// <summary>Has the map looked at again from time to time: copies move. With the gate held.</summary>
    private void Learn(TimeSpan pause)
    {
        if (isLearning || ending.IsCancellationRequested || options.AwakeClock.GetElapsedTime(learnedAt) < pause) { return; }
        isLearning = true;
        CancellationToken end = ending.Token;
        _ = Task.Run(() => LearnAsync(end), CancellationToken.None);
    }

    private async Task LearnAsync(CancellationToken end)
    {
        try
        {
            await pool.DirectoryAsync(end);
        }
        catch (OperationCanceledException)
        {
            // The client ends.
        }
        finally
        {
            lock (gate)
            {
                isLearning = false;
                learnedAt = options.AwakeClock.GetTimestamp();
            }
        }
    }

    private sealed class Link
    {
        public CopyStream? Stream { get; set; }

        public bool IsDialling { get; set; }

        /// <summary>When it last did not give what it was asked for, or could not be connected to.</summary>
        public long? FailedAt { get; set; }
    }

    /// <summary>How far the nodes of one map are.</summary>
    private sealed class Distances
    {
        private readonly int[][] byShard;
        private readonly int[] ofPrimaries;

        public Distances(PoolDirectory map, NearOptions near)
        {
            Map = map;
            HashSet<IPAddress> own = [.. OwnAddresses()];
            string? zone = near.Zone ?? map.Places.Values.FirstOrDefault(place => place.Name == near.Node).Zone;
            Dictionary<NodeId, int> distances = map.Nodes.Keys.ToDictionary(static node => node, node => Of(map, node, near.Node, zone, own));
            IsAnyNear = distances.Values.Any(static distance => distance < Elsewhere);
            byShard = [.. map.Holders.Select(holders => holders.Select(node => distances.GetValueOrDefault(node, Elsewhere)).ToArray())];
            ofPrimaries = [.. map.Primaries.Select(node => distances.GetValueOrDefault(node, Elsewhere))];
        }

        public PoolDirectory Map { get; }

        public bool IsAnyNear { get; }

        public int[] Of(int shard) => byShard[shard];

        public int OfPrimary(int shard) => ofPrimaries[shard];

        private static int Of(PoolDirectory map, NodeId node, string? nearest, string? zone, HashSet<IPAddress> own)
        {
            NodePlace place = map.Places[node];
            if (nearest is not null && place.Name == nearest) { return OnThisMachine; }
            if (nearest is null && IPEndPoint.TryParse(map.Nodes[node], out IPEndPoint? at) && own.Contains(at.Address)) { return OnThisMachine; }
            return !string.IsNullOrEmpty(zone) && place.Zone == zone ? InThisZone : Elsewhere;
        }

        private static IEnumerable<IPAddress> OwnAddresses()
        {
            try
            {
                return [.. NetworkInterface.GetAllNetworkInterfaces().SelectMany(static one => one.GetIPProperties().UnicastAddresses).Select(static one => one.Address)];
            }
            catch (NetworkInformationException)
            {
                return [];
            }
        }
    }
}
