using System.Collections.Immutable;
using System.Globalization;
using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A pool of nodes, its network, authority and clients, on virtual time, from one seed.</summary>
internal sealed class PoolWorld
{
    private readonly PriorityQueue<Action, (TimeSpan At, long Order)> events = new();
    private readonly Dictionary<ShardId, HashSet<Epoch>> reigns = [];
    private readonly List<SimulatedNode> nodes;
    private long order;

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

    public void Note(string what) => Reached[what] = Reached.GetValueOrDefault(what) + 1;

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
