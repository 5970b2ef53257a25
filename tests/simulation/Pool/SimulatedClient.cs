using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A client that appends to shards' lists and reads them, one operation after the other, and remembers what it was
/// told.</summary>
internal sealed class SimulatedClient(PoolWorld world, int number, int shards)
{
    private const int TimeoutMs = 4_000;

    /// <summary>Of so many operations one is a sync of what was answered some time ago.</summary>
    private const int SyncsOneIn = 6;

    private readonly List<PoolOperation> operations = [];

    /// <summary>What was answered, and is not known to be on disk.</summary>
    private readonly List<(PoolOperation Append, LogPosition At)> unsynced = [];

    private long values;
    private long attempt;
    private bool isStopped;

    public IReadOnlyList<PoolOperation> Operations => operations;

    public int Answered { get; private set; }

    public void Start() => world.After(world.Between(1, 200), Next);

    public void Stop() => isStopped = true;

    private void Next()
    {
        if (isStopped) { return; }
        TimeSpan deadline = world.Now + TimeSpan.FromMilliseconds(TimeoutMs);
        attempt++;
        if (unsynced.Count > 0 && world.Random.Next(SyncsOneIn) == 0)
        {
            Sync(world.Random.Next(unsynced.Count), deadline);
            return;
        }

        bool isRead = world.Random.Next(3) == 0;
        PoolOperation operation = new()
        {
            Shard = world.Random.Next(shards),
            Value = isRead ? 0 : (number * 1_000_000L) + ++values,
            Began = world.Now,
        };
        operations.Add(operation);
        if (isRead) { Read(operation, deadline); }
        else { Append(operation, world.Random.Next(3) == 0, deadline); }
    }

    private void Read(PoolOperation operation, TimeSpan deadline)
    {
        long own = attempt;
        ShardId shard = new((ushort)operation.Shard);
        Try(shard, deadline, own, () => operations.Remove(operation), (asked, again) =>
        {
            if (asked.Read(shard) is { } seen) { Reply(own, () => End(operation, seen)); }
            else { again(); }
        });
    }

    private void Append(PoolOperation operation, bool durable, TimeSpan deadline)
    {
        long own = attempt;
        ShardId shard = new((ushort)operation.Shard);
        Try(shard, deadline, own, () => operations.Remove(operation), (asked, again) =>
            asked.Append(shard, operation.Value, durable, (taken, at) =>
            {
                if (taken == false) { again(); }
                else { Reply(own, taken == true ? () => Appended(at) : Unknown); }
            }));

        void Appended(LogPosition at)
        {
            operation.IsDurable = durable;
            if (!durable) { unsynced.Add((operation, at)); }
            End(operation, []);
        }

        void Unknown()
        {
            world.Note("append unknown");
            Done();
        }
    }

    /// <summary>Asks for what was answered once to be on disk, as an fsync does, of however long ago that was.</summary>
    private void Sync(int which, TimeSpan deadline)
    {
        long own = attempt;
        (PoolOperation append, LogPosition at) = unsynced[which];
        ShardId shard = new((ushort)append.Shard);
        Try(shard, deadline, own, static () => { }, (asked, again) => asked.Sync(shard, at, status =>
        {
            if (status == Status.Busy) { again(); }
            else { Reply(own, () => Synced(status)); }
        }));

        void Synced(Status status)
        {
            if (status != Status.Unknown)
            {
                unsynced.RemoveAt(which);
                append.IsDurable = status == Status.Ok;
                append.IsToldLost = status == Status.Lost;
                world.Note(status == Status.Ok ? "synced" : "synced too late");
            }

            Done();
        }
    }

    /// <summary>Asks who is the primary by now, as far as the client knows; whom it reaches answers, or does not.</summary>
    private void Try(ShardId shard, TimeSpan deadline, long own, Action untaken, Action<SimulatedNode, Action> ask)
    {
        if (own != attempt) { return; }
        if (world.Now >= deadline)
        {
            // Nobody took it: it did not happen.
            untaken();
            Continue();
            return;
        }

        NodeId target = world.Random.Next(10) == 0
            ? new((uint)world.Random.Next(world.Nodes.Count) + 1)
            : world.Authority.ReignOf(shard).Primary;
        SimulatedNode node = world.NodeOf(target);
        world.After(world.Between(1, 6), () =>
        {
            if (!node.IsUp || world.Network.IsCut(number, target)) { Again(); }
            else { node.WhenAwake(Ask); }
        });

        // An answer that does not come leaves it open whether it happened: another operation is the next.
        world.After(deadline - world.Now, () =>
        {
            if (own == attempt) { Done(); }
        });

        void Again() => world.After(world.Between(20, 120), () => Try(shard, deadline, own, untaken, ask));

        void Ask()
        {
            if (own == attempt) { ask(node, Again); }
        }
    }

    private void Reply(long own, Action then) => world.After(world.Between(1, 6), () =>
    {
        if (own == attempt) { then(); }
    });

    private void End(PoolOperation operation, long[] seen)
    {
        operation.Ended = world.Now;
        operation.Seen = seen;
        Answered++;
        Done();
    }

    private void Done()
    {
        attempt++;
        Continue();
    }

    private void Continue() => world.After(world.Between(1, 60), Next);
}
