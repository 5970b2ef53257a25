using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A client that appends to shards' lists and reads them, one operation after the other, and remembers what it was
/// told.</summary>
internal sealed class SimulatedClient(PoolWorld world, int number, int shards)
{
    private const int TimeoutMs = 4_000;

    private readonly List<PoolOperation> operations = [];
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
        bool isRead = world.Random.Next(3) == 0;
        PoolOperation operation = new()
        {
            Shard = world.Random.Next(shards),
            Value = isRead ? 0 : (number * 1_000_000L) + ++values,
            Began = world.Now,
        };
        operations.Add(operation);
        bool durable = !isRead && world.Random.Next(3) == 0;
        TimeSpan deadline = world.Now + TimeSpan.FromMilliseconds(TimeoutMs);
        Try(operation, durable, deadline, ++attempt);
    }

    /// <summary>Asks who is the primary by now, as far as the client knows; whom it reaches answers, or does not.</summary>
    private void Try(PoolOperation operation, bool durable, TimeSpan deadline, long own)
    {
        if (own != attempt) { return; }
        if (world.Now >= deadline)
        {
            // Nobody took it: it did not happen.
            operations.Remove(operation);
            Continue();
            return;
        }

        ShardId shard = new((ushort)operation.Shard);
        NodeId target = world.Random.Next(10) == 0
            ? new((uint)world.Random.Next(world.Nodes.Count) + 1)
            : world.Authority.ReignOf(shard).Primary;
        SimulatedNode node = world.Nodes[(int)target.Value - 1];
        world.After(world.Between(1, 6), () =>
        {
            bool isReached = node.IsUp;
            if (!isReached) { Again(); }
            else { node.WhenAwake(() => Ask(node)); }
        });

        // An answer that does not come leaves it open whether it happened: another operation is the next.
        world.After(deadline - world.Now, () =>
        {
            if (own != attempt) { return; }
            attempt++;
            Continue();
        });

        void Again() => world.After(world.Between(20, 120), () => Try(operation, durable, deadline, own));

        void Ask(SimulatedNode asked)
        {
            if (own != attempt) { return; }
            if (operation.Value == 0)
            {
                if (asked.Read(shard) is { } seen) { Reply(() => End(seen, isDurable: false)); }
                else { Again(); }
                return;
            }

            asked.Append(shard, operation.Value, durable, taken =>
            {
                if (taken == true) { Reply(() => End([], durable)); }
                else if (taken == false) { Again(); }
                else { Reply(Unknown); }
            });
        }

        void Reply(Action then) => world.After(world.Between(1, 6), () =>
        {
            if (own == attempt) { then(); }
        });

        void End(long[] seen, bool isDurable)
        {
            operation.Ended = world.Now;
            operation.Seen = seen;
            operation.IsDurable = isDurable;
            Answered++;
            attempt++;
            Continue();
        }

        void Unknown()
        {
            world.Note("append unknown");
            attempt++;
            Continue();
        }
    }

    private void Continue() => world.After(world.Between(1, 60), Next);
}
