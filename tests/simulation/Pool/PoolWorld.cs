using System.Collections.Immutable;
using System.Globalization;
using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <summary>A pool of nodes, its network, authority and clients, on virtual time, from one seed.</summary>
internal sealed class PoolWorld
{
    private readonly PriorityQueue<Action, (TimeSpan At, long Order)> events = new();
    private readonly Dictionary<ShardId, HashSet<Epoch>> reigns = [];
    private readonly Dictionary<(DriveId Drive, char Kind, ulong Id), string> issued = [];
    private readonly Dictionary<(ShardId Shard, LogIndex Index), SimulatedEntry> applied = [];
    private readonly List<SimulatedNode> nodes;
    private long order;
    private uint drawn;

    /// <param name="seed">Of all that is drawn.</param>
    /// <param name="nodes">How many.</param>
    /// <param name="shards">How many.</param>
    /// <param name="coldStartWait">After which what was only answered may be given up: longer than any fault, or short.</param>
    /// <param name="bug">What is planted.</param>
    public PoolWorld(int seed, int nodes, int shards, TimeSpan coldStartWait, PoolBug bug)
    {
        Random = new(seed);
        Times = ReplicationTimes.Default with { ColdStartWait = bug == PoolBug.StartColdAtOnce ? default : coldStartWait };
        Bug = bug;
        ImmutableArray<NodeId> ids = [.. Enumerable.Range(1, nodes).Select(static number => new NodeId((uint)number))];
        MapChange founded = PoolMapChange.Found(
            new(1), new(Replicas, MinInSync), shards, [.. ids.Select(static id => (Introduce(id), BootOf(1)))]);
        Authority = new(this, founded.Map!);
        Network = new(this);
        Operator = new(this);
        this.nodes = [.. ids.Select(id => new SimulatedNode(this, id))];
        Clients = [.. Enumerable.Range(1, 2 * shards).Select(number => new SimulatedClient(this, number, shards))];
        NamespaceClients = [.. Enumerable.Range(0, 2 * shards).Select(at =>
            new NamespaceClient(this, Clients.Count + at + 1, new((ushort)(at % shards)), null))];
        MayLose = coldStartWait < TimeSpan.FromMinutes(1);
        QuotaInodes = seed % 3 == 1 ? 20u : 0;
        QuotaBytes = seed / 9 % 2 == 0 ? 16u * ModelFile.CellBytes : 0;
    }

    /// <summary>Replicas of each shard, and how many must have what is acknowledged.</summary>
    public const int Replicas = 3;

    public const int MinInSync = 2;

    /// <summary>Is told what happens, of who looks at a seed that failed.</summary>
    public Action<string>? Trace { get; set; }

    public ReplicationTimes Times { get; }

    public Random Random { get; }

    public PoolBug Bug { get; }

    public TimeSpan Now { get; private set; }

    public long Events { get; private set; }

    public SimulatedAuthority Authority { get; }

    public SimulatedNetwork Network { get; }

    public SimulatedOperator Operator { get; }

    /// <summary>All nodes that there ever were: the n-th has the id n, from 1.</summary>
    public IReadOnlyList<SimulatedNode> Nodes => nodes;

    public IReadOnlyList<SimulatedClient> Clients { get; }

    /// <summary>Copies may be lost together: what is not on disk may be gone.</summary>
    public bool MayLose { get; }

    /// <summary>Clients of the shards' drives; their numbers follow those of the others.</summary>
    public IReadOnlyList<NamespaceClient> NamespaceClients { get; }

    /// <summary>Clients of clones of these drives.</summary>
    public List<NamespaceClient> CloneClients { get; } = [];

    /// <summary>VNodes that each drive may have; 0: as many as it likes.</summary>
    public ulong QuotaInodes { get; }

    /// <summary>Bytes that files of each drive may have; 0: as many as they like.</summary>
    public ulong QuotaBytes { get; }

    public bool HasQuota => QuotaInodes != 0 || QuotaBytes != 0;

    /// <summary>How often rare things happened.</summary>
    public SortedDictionary<string, int> Reached { get; } = new(StringComparer.Ordinal);

    /// <summary>Fast and slow networks, quiet and lossy ones.</summary>
    public double LossRate { get; set; }

    public TimeSpan Between(int leastMs, int mostMs) =>
        TimeSpan.FromMilliseconds(leastMs + (Random.NextDouble() * (mostMs - leastMs)));

    public void After(TimeSpan delay, Action action) => events.Enqueue(action, (Now + delay, order++));

    public void Say(FormattableString what)
    {
        if (Trace is { } trace) { trace(string.Create(CultureInfo.InvariantCulture, $"{Now.TotalSeconds:F3} {FormattableString.Invariant(what)}")); }
    }

    /// <summary>Is told of what is noted, and of which node: faults come at the worst moments, too.</summary>
    public Action<string, SimulatedNode?>? Noted { get; set; }

    public void Note(string what, SimulatedNode? node = null)
    {
        Reached[what] = Reached.GetValueOrDefault(what) + 1;
        Noted?.Invoke(what, node);
    }

    public void Run(TimeSpan until)
    {
        while (events.TryPeek(out _, out (TimeSpan At, long Order) next) && next.At <= until)
        {
            Action action = events.Dequeue();
            Now = next.At;
            Events++;
            action();
        }

        Now = until;
    }

    /// <summary>The pool map has another reign: one primary for each epoch, ever.</summary>
    public void OnReign(Reign reign)
    {
        Say($"map: {reign}");
        if (!reigns.TryGetValue(reign.Shard, out HashSet<Epoch>? seen)) { reigns.Add(reign.Shard, seen = []); }
        if (!seen.Add(reign.Epoch)) { throw new PoolFailedException($"shard {reign.Shard} has two reigns {reign.Epoch}"); }
    }

    public SimulatedNode NodeOf(NodeId id) => nodes[(int)id.Value - 1];

    /// <summary>A node with an empty disk, which has joined, starts.</summary>
    public SimulatedNode AddNode(NodeId id)
    {
        Invariant.Check(id.Value == nodes.Count + 1);
        SimulatedNode added = new(this, id);
        nodes.Add(added);
        added.Start();
        return added;
    }

    /// <summary>What a node says of itself when it joins.</summary>
    public static NodeIntroduction Introduce(NodeId id) => new($"node-{id}", [$"node-{id}:1"], "", 100, DiskOf(id));

    /// <summary>Nobody answers for a shard while somebody else may.</summary>
    public void CheckAlone(SimulatedNode answering, ShardId shard)
    {
        foreach (SimulatedNode node in Nodes)
        {
            if (node != answering && node.MayAnswer(shard))
            {
                throw new PoolFailedException($"nodes {answering.Id} and {node.Id} both answer for shard {shard} at {Now}");
            }
        }
    }

    /// <summary>A replica applies an entry: the same one that every other applied at that place, unless power took that from all.</summary>
    public void OnApplied(SimulatedNode node, ShardId shard, LogIndex index, SimulatedEntry entry)
    {
        if (applied.TryAdd((shard, index), entry)) { return; }
        SimulatedEntry before = applied[(shard, index)];
        if (before == entry) { return; }
        if (!MayLose || entry.Epoch <= before.Epoch)
        {
            throw new PoolFailedException($"node {node.Id} applies {entry} at {index} of shard {shard}, where {before} was applied");
        }

        applied[(shard, index)] = entry;
    }

    /// <summary>What is about to be answered is at every replica whose word counts, but for those that lost their power since.</summary>
    public void CheckKept(ShardId shard, LogPosition position)
    {
        foreach (InSyncReplica replica in Authority.ReignOf(shard).InSync)
        {
            SimulatedNode node = NodeOf(replica.Node);
            ShardDisk copy = node.Disks[shard].Now;
            bool isThere = position.Index <= copy.Last && (position.Index < copy.Start.Index || copy.PositionOf(position.Index) == position);
            if (!isThere && node.CutBoot < replica.Boot) { throw new PoolFailedException($"{position} of shard {shard} is answered, and is not at node {node.Id}"); }
        }
    }

    /// <summary>An id was given to somebody: nobody else ever gets it.</summary>
    public void OnIssued(DriveId drive, char kind, ulong id, string to)
    {
        if (issued.TryAdd((drive, kind, id), to) || issued[(drive, kind, id)] == to) { return; }
        throw new PoolFailedException($"{kind} {id} of drive {drive} was given to {issued[(drive, kind, id)]}, and then to {to}");
    }

    /// <summary>An id for another drive of a shard.</summary>
    public DriveId DrawDrive(ShardId shard) => new(DriveOf(shard).Value + ((UInt128)(++drawn) << 32));

    /// <summary>The drive that each shard has.</summary>
    public static DriveId DriveOf(ShardId shard) => new(1 + (UInt128)shard.Value);

    /// <summary>The disk that a node has for ever.</summary>
    public static DiskId DiskOf(NodeId node) => new(1000 + (UInt128)node.Value);

    /// <summary>The process of a start.</summary>
    public static BootId BootOf(ulong starts) => new((UInt128)starts << 64);
}

/// <summary>A pool did what it promised not to do.</summary>
internal sealed class PoolFailedException : Exception
{
    public PoolFailedException()
    {
    }

    public PoolFailedException(string message)
        : base(message)
    {
    }

    public PoolFailedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
