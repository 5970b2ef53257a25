using System.Collections.Immutable;
using KvFs.Core;
using KvFs.Node.Shards;
using KvFs.Node.Storage;
using KvFs.Simulation.Storage;

namespace KvFs.Simulation.Nodes;

/// <summary>Runs a workload on a whole node, and at every persistence point looks at what a crash there would leave.</summary>
/// <remarks>
/// A workload is a list of seeds, one for each step; the same list is the same run. Transactions are counted: a crash leaves the
/// first so many of them, no fewer than were acknowledged, and then the node must show what the model shows after as many. Of
/// each crash is checked: (1) how many transactions are there; (2) the node starts, and shows every drive, file and snapshot as
/// the model has it; (3) fsck finds nothing; (4) once the background has done its work, nothing is left that nobody sees, and
/// usage is exact; (5) the journal's replay alone has made the very records that were there before. Some starts crash, too, and
/// must then come to the same. Crashes happen to copies; now and then one happens to the run itself, which lives on.
/// </remarks>
internal sealed class NodeSimulation : IDisposable
{
    private const long DiskBytes = 1L << 30;

    /// <summary>One start in so many crashes, at one of its persistence points up to this one.</summary>
    private const int CrashingStarts = 10;
    private const int StartPoints = 60;

    /// <summary>One step in so many ends with a crash that the run lives on with, or meets a disk that fails.</summary>
    private const int LivedCrashes = 14;

    private readonly NodeFaults faults;
    private readonly Dictionary<ulong, Moment> moments = [];
    private readonly List<NodeCrash> crashes = [];
    private NodeUnderTest? node;
    private NodeWorkload? workload;
    private ModelWorld world = ModelWorld.Empty;
    private SimulatedDisk disk = new(DiskBytes);
    private SimulatedKeyValueStore keyValues = new();
    private Random chance = new(0);
    private bool isCrashing;
    private bool hasFailed;

    /// <summary>Transactions that the run has seen; that were answered; that were answered as durable.</summary>
    private ulong applied;
    private ulong answered;
    private ulong durable;

    internal NodeSimulation(NodeBug bug)
    {
        faults = new(bug);
        keyValues.FlushesApart = faults.FlushesApart;
    }

    /// <summary>What the node may show after so many transactions, and their records.</summary>
    private sealed record Moment(ModelWorld Before, ModelWorld After, ImmutableSortedSet<SimulatedRecord>? Records);

    /// <summary>Crashes that were looked at.</summary>
    internal int Crashes { get; private set; }

    /// <summary>Steps of the workload that were begun: the last of them is the one that failed, if one did.</summary>
    internal int Begun { get; private set; }

    /// <summary>How often each kind of step was made, and clusters that were folded and blocks that were emptied on the way.
    /// </summary>
    internal SortedDictionary<string, long> Done { get; } = new(StringComparer.Ordinal);

    /// <exception cref="CrashFailedException">A promise is broken; the message says where.</exception>
    internal void Run(IReadOnlyList<int> steps)
    {
        chance = new(steps.Count > 0 ? steps[0] : 0);
        moments[0] = new(world, world, keyValues.Content(Family.Namespace));
        List<string> told = [];
        try
        {
            Live(told, Start);
            foreach (int step in steps)
            {
                Begun++;
                RunStep(step, told);
            }

            Live(told, Stop);
        }
        catch (Exception failure) when (failure is not CrashFailedException)
        {
            throw new CrashFailedException(string.Join('\n', told), failure);
        }
    }

    public void Dispose()
    {
        if (node is not null)
        {
            Count("folded", node.Node.Packer.Folds);
            Count("emptied", node.EmptiedBlocks);
            Count("flattened", workload?.Flattened ?? 0);
            node.Dispose();
        }

        node = null;
    }

    private void Count(string what, long times) => Done[what] = Done.GetValueOrDefault(what) + times;

    private void RunStep(int seed, List<string> told)
    {
        chance = new(seed);
        bool isLivedCrash = chance.Next(LivedCrashes) == 0;
        bool fails = isLivedCrash && chance.Next(2) == 0;
        Live(told, () =>
        {
            Invariant.Check(workload is not null);
            if (fails) { FailSoon(chance.Next(1, 8)); }
            workload.MayFail = fails;
            workload.Step(chance.Next());
            if (hasFailed) { workload.OnDiskFailed(); }
            Count(hasFailed ? "failed disk" : workload.Name.Split(' ', '@')[0], 1);
            return workload.Name + (workload.HasFailed ? " (the disk fails)" : "");
        });
        if (!isLivedCrash) { return; }
        CrashHere();
        Live(told, Start);
    }

    /// <summary>Does something, and then looks at every crash that might have happened meanwhile.</summary>
    private void Live(List<string> told, Func<string> act)
    {
        ModelWorld before = world;
        ulong first = applied;
        isCrashing = true;
        told.Add(act());
        isCrashing = false;
        Invariant.Check(workload is not null);
        world = workload.World;
        for (ulong i = first + 1; i <= applied; i++)
        {
            bool isLast = i == applied && !workload.HasFailed;
            moments[i] = moments[i] with { Before = isLast ? world : before, After = world };
        }

        if (workload.HasFailed)
        {
            // A transaction may be in the log although what failed then kept its records from being applied.
            moments[applied + 1] = new(before, world, null);
        }
        else
        {
            answered = applied;
            if (workload.IsDurable) { durable = applied; }
        }

        LookAtAll(told);
    }

    private void LookAtAll(List<string> told)
    {
        for (int i = 0; i < crashes.Count; i++)
        {
            try
            {
                Look(crashes[i]);
            }
            catch (Exception failure)
            {
                throw new CrashFailedException(
                    $"{string.Join('\n', told)}\n{crashes[i].Kind} at persistence point {(i / 2) + 1} of that", failure);
            }
        }

        crashes.Clear();
    }

    private string Start()
    {
        disk.OnPersistencePoint = OnPersistencePoint;
        keyValues.OnPersistencePoint = OnPersistencePoint;
        node = new(disk, keyValues, faults, chance);
        workload = new(node, world);
        return "start";
    }

    /// <summary>An orderly stop, after which nothing may be left over.</summary>
    private string Stop()
    {
        Invariant.Check(workload is not null && node is not null);
        workload.CloseSessions();
        node.Settle();
        NodeLeaks.Check(node, workload.World);
        Dispose();
        return "stop";
    }

    private void FailSoon(int operations)
    {
        int left = operations;
        Status Fail()
        {
            hasFailed = --left <= 0;
            return hasFailed ? Status.IoError : Status.Ok;
        }

        disk.Ask = operation => operation is DiskOperation.Read ? Status.Ok : Fail();
        keyValues.Ask = _ => Fail();
    }

    private void OnPersistencePoint()
    {
        if (!isCrashing) { return; }
        ImmutableSortedSet<SimulatedRecord> records = keyValues.Content(Family.Namespace);
        ulong count = CountApplied(keyValues);
        if (count > applied)
        {
            applied = count;
            moments[count] = new(world, world, records);
        }

        crashes.Add(NewCrash(CrashKind.Kill));
        crashes.Add(NewCrash(CrashKind.PowerCut));
    }

    private NodeCrash NewCrash(CrashKind kind) => new(
        kind,
        kind == CrashKind.Kill ? disk.AfterKill() : disk.AfterPowerCut(chance),
        kind == CrashKind.Kill ? keyValues.AfterKill(chance) : keyValues.AfterPowerCut(chance),
        kind == CrashKind.Kill ? answered : durable,
        chance.Next(CrashingStarts) == 0 ? chance.Next(1, StartPoints) : 0);

    /// <summary>The run itself crashes, and goes on with what that left.</summary>
    private void CrashHere()
    {
        NodeCrash crash = NewCrash(chance.Next(2) == 0 ? CrashKind.Kill : CrashKind.PowerCut);
        Dispose();
        hasFailed = false;
        disk = crash.Disk.AfterKill();
        keyValues = crash.KeyValues.AfterKill();
        applied = Replay(crash.KeyValues.AfterKill(), out ImmutableSortedSet<SimulatedRecord> records);
        answered = applied;
        durable = applied;
        world = Look(crash);
        moments.Clear();
        moments[applied] = new(world, world, records);
    }

    /// <summary>Checks what a crash left, and answers which world that is.</summary>
    private ModelWorld Look(NodeCrash crash)
    {
        Crashes++;
        ulong count = Replay(crash.KeyValues.AfterKill(), out ImmutableSortedSet<SimulatedRecord> records);
        Require(count >= crash.AtLeast, $"of {crash.AtLeast} acknowledged transactions {count} are there");
        Require(moments.TryGetValue(count, out Moment? moment), $"{count} transactions were never made");
        Invariant.Check(moment is not null);
        List<NodeCrash> inStart = [];
        CrashInStart(crash, inStart);
        ModelWorld seen = CheckStarted(crash, [moment.Before, moment.After]);
        Require(
            moment.Records is null || records.SequenceEqual(moment.Records, RecordEquality.Instance),
            $"the replay of {count} transactions made other records");
        foreach (NodeCrash again in inStart) { CheckStarted(again, [seen]); }
        return seen;
    }

    private static void CrashInStart(NodeCrash crash, List<NodeCrash> inStart)
    {
        int left = crash.CrashesStartAt;
        if (left == 0) { return; }
        Random chance = new(left);
        void Point()
        {
            if (--left != 0) { return; }
            inStart.Add(new(CrashKind.Kill, crash.Disk.AfterKill(), crash.KeyValues.AfterKill(chance), 0, 0));
            inStart.Add(new(
                CrashKind.PowerCut, crash.Disk.AfterPowerCut(chance), crash.KeyValues.AfterPowerCut(chance), 0, 0));
        }

        crash.Disk.OnPersistencePoint = Point;
        crash.KeyValues.OnPersistencePoint = Point;
    }

    private ModelWorld CheckStarted(NodeCrash crash, ModelWorld[] worlds)
    {
        using NodeUnderTest started = new(crash.Disk, crash.KeyValues, faults, new Random(1));
        string shown = NodeImage.Take(started.Node.Admin);

        // Names that a restore has just replaced with their directory count as links until they are reaped.
        ModelWorld? seen = worlds.FirstOrDefault(possible => possible.Image == shown)
            ?? worlds.FirstOrDefault(possible => TreeLine.WithoutLinks(possible.Image) == TreeLine.WithoutLinks(shown));
        Require(seen is not null, Difference(worlds[^1].Image, shown));
        Invariant.Check(seen is not null);
        started.Check();
        started.Settle();
        NodeLeaks.Check(started, seen);
        string settled = NodeImage.Take(started.Node.Admin);
        Require(settled == seen.Image, "once the background is done, " + Difference(seen.Image, settled));
        started.Settle();
        started.Check();
        return seen;
    }

    /// <summary>Has the journals alone recover, and counts the transactions that are there.</summary>
    private ulong Replay(SimulatedKeyValueStore keyValues, out ImmutableSortedSet<SimulatedRecord> records)
    {
        IKeyValueStore store = faults.On(keyValues);
        for (ushort shard = 0; shard < NodeUnderTest.Shards; shard++) { _ = new Shard(store, new(shard), new(1)); }
        records = keyValues.Content(Family.Namespace);
        return CountApplied(keyValues);
    }

    private static ulong CountApplied(SimulatedKeyValueStore keyValues)
    {
        Span<byte> key = stackalloc byte[AppliedMark.KeyBytes];
        ByteBuffer value = new();
        ulong count = 0;
        for (ushort shard = 0; shard < NodeUnderTest.Shards; shard++)
        {
            AppliedMark.WriteKey(new(shard), key);
            if (!keyValues.TryGet(Family.Namespace, key, value)) { continue; }
            Invariant.Check(AppliedMark.ReadValue(value.Span, out LogIndex applied) == Status.Ok);
            count += applied.Value;
        }

        return count;
    }

    private static string Difference(string expected, string shown)
    {
        IEnumerable<string> missing = expected.Split('\n').Except(shown.Split('\n')).Select(static line => "  not: " + line);
        IEnumerable<string> extra = shown.Split('\n').Except(expected.Split('\n')).Select(static line => "  but: " + line);
        return $"the node shows\n{string.Join('\n', missing.Concat(extra))}";
    }

    private static void Require(bool holds, string what)
    {
        if (!holds) { throw new BrokenPromiseException(what); }
    }

    private sealed class RecordEquality : IEqualityComparer<SimulatedRecord>
    {
        internal static readonly RecordEquality Instance = new();

        public bool Equals(SimulatedRecord x, SimulatedRecord y) =>
            x.Key.AsSpan().SequenceEqual(y.Key) && x.Value.AsSpan().SequenceEqual(y.Value);

        public int GetHashCode(SimulatedRecord obj) => obj.Key.Length;
    }
}

/// <summary>What a crash left.</summary>
/// <param name="Kind">What ended.</param>
/// <param name="Disk">The disk that the next start finds.</param>
/// <param name="KeyValues">The key-value store that it finds.</param>
/// <param name="AtLeast">Transactions that must be there.</param>
/// <param name="CrashesStartAt">The persistence point of the next start that it crashes at; 0: it does not.</param>
internal sealed record NodeCrash(
    CrashKind Kind, SimulatedDisk Disk, SimulatedKeyValueStore KeyValues, ulong AtLeast, int CrashesStartAt);

/// <summary>A run that broke a promise; the message lists its steps.</summary>
public sealed class CrashFailedException : Exception
{
    public CrashFailedException()
    {
    }

    public CrashFailedException(string message)
        : base(message)
    {
    }

    public CrashFailedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
