using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>Asks a drive of a shard, wherever it is by now, and again until it is answered: a change under the same request id.
/// </summary>
/// <param name="world">Where.</param>
/// <param name="number">Of the client, for the network.</param>
/// <param name="shard">Where the drive lives.</param>
/// <param name="id">Which drive.</param>
internal sealed class DriveCaller(PoolWorld world, int number, ShardId shard, DriveId id)
{
    /// <summary>Of so many messages one takes long.</summary>
    private const int LateOneIn = 50;

    /// <summary>Of so many times that a client waits for an answer, it stands still once, for about as long as its session lives.</summary>
    private const int StallOneIn = 20;

    private readonly ulong[] sequences = new ulong[4];
    private readonly SortedDictionary<VNodeId, uint> held = [];

    /// <summary>The newest term that it has asked.</summary>
    private Epoch newest;

    /// <summary>The one that answered last.</summary>
    private Epoch last;
    private long calls;
    private long tries;

    /// <summary>None: it has to open one.</summary>
    public SessionId Session { get; private set; }

    /// <summary>The newest place in the log that an answer named.</summary>
    public LogPosition Answered { get; private set; }

    /// <summary>What its session has set aside.</summary>
    public Reservation Reserved { get; private set; }

    /// <summary>What is set aside was set aside by the primary that answered last, in the same term: nobody else may have taken the room.</summary>
    public bool IsReservedThere { get; private set; }

    /// <summary>Opens another session; what was answered in the last one is forgotten. Ok; NotFound: there is no such drive.</summary>
    public void Open(Action<Status> then)
    {
        Session = default;
        Answered = default;
        Reserved = default;
        held.Clear();
        Array.Clear(sequences);
        SessionToken token = new(((UInt128)world.Random.NextInt64() << 64) | (uint)number);
        DriveRequest request = new(default, default, (drive, _, result) => drive.OpenSession(token, result));
        Send((node, reply) => node.Ask(shard, id, request, reply), answer =>
        {
            if (answer.Status == Status.Ok)
            {
                Session = new(BitConverter.ToUInt64(answer.Result.Span));
                world.OnIssued(id, 's', Session.Value, $"session of client {number} at {world.Now}");
            }
            else if (answer.Status != Status.NotFound) { throw new PoolFailedException($"client {number}: a session is answered {answer.Status}"); }

            then(answer.Status);
        });
    }

    /// <summary>Has something changed, once.</summary>
    public void Change(DriveChange change, Action<DriveAnswer, RequestId> then)
    {
        int slot = world.Random.Next(sequences.Length);
        RequestId name = new(Session, (ushort)slot, ++sequences[slot]);
        DriveRequest request = new(name, Answered, change, Reserved, new SortedDictionary<VNodeId, uint>(held));
        Send((node, reply) => node.Ask(shard, id, request, reply), answer =>
        {
            Take(answer.Grown);
            then(answer, name);
        });
    }

    /// <summary>Sets bytes and VNodes aside.</summary>
    public void Reserve(Reservation wanted, Action<Status> then)
    {
        SessionId session = Session;
        Change((at, _, _) => at.Reserve(session, wanted), (answer, _) =>
        {
            if (answer.Status == Status.Ok)
            {
                // What an earlier term set aside is not worth more for it.
                IsReservedThere |= Reserved == default;
                Reserved = new(Reserved.Bytes + wanted.Bytes, Reserved.Inodes + wanted.Inodes);
            }

            then(answer.Status);
        });
    }

    /// <summary>Gives back all that is set aside.</summary>
    public void Unreserve(Action<Status> then)
    {
        (SessionId session, Reservation all) = (Session, Reserved);
        Change((at, _, _) => at.Unreserve(session, all), (answer, _) =>
        {
            Take(all);
            then(answer.Status);
        });
    }

    /// <summary>Holds a file open, which a change finds or makes, and answers first.</summary>
    public void Hold(DriveChange finding, Action<DriveAnswer, VNodeId> then) => Change(finding, (answer, _) =>
    {
        VNodeId file = answer.Status == Status.Ok ? new(BitConverter.ToUInt64(answer.Result.Span)) : VNodeId.None;
        if (file != VNodeId.None) { held[file] = held.GetValueOrDefault(file) + 1; }
        then(answer, file);
    });

    /// <summary>Lets go of a file.</summary>
    public void Release(VNodeId file, Action<Status> then)
    {
        SessionId session = Session;
        Change((at, transaction, _) => at.Release(file, session, transaction), (answer, _) =>
        {
            if (held[file] > 1) { held[file]--; }
            else { held.Remove(file); }
            then(answer.Status);
        });
    }

    private void Take(Reservation used) => Reserved = new(
        Reserved.Bytes - Math.Min(Reserved.Bytes, used.Bytes), Reserved.Inodes - Math.Min(Reserved.Inodes, used.Inodes));

    /// <summary>Reads the records of one moment.</summary>
    public void Read(Func<ShardDisk, DriveAnswer> reading, Action<DriveAnswer> then)
    {
        LogPosition answered = Answered;
        Send((node, reply) => reply(node.Read(shard, answered, reading)), then);
    }

    /// <summary>Has a block stored under an id that its session was granted.</summary>
    public void WriteBlock(BlockId block, int content, Action<Status> then)
    {
        SessionId session = Session;
        Send((node, reply) => node.WriteBlock(shard, session, new(id, block), content, reply), answer => then(answer.Status));
    }

    /// <summary>Has all that was answered brought to all disks.</summary>
    public void Sync(Action<Status> then)
    {
        LogPosition answered = Answered;
        Send((node, reply) => node.Sync(shard, answered, status => reply(new(status))), answer => then(answer.Status));
    }

    private void Send(Action<SimulatedNode, Action<DriveAnswer>> ask, Action<DriveAnswer> then)
    {
        long call = ++calls;
        Try();

        void Try()
        {
            if (call != calls) { return; }
            long own = ++tries;
            SimulatedNode node = world.NodeOf(world.Random.Next(10) == 0
                ? new((uint)world.Random.Next(world.Nodes.Count) + 1)
                : world.Authority.ReignOf(shard).Primary);
            Deliver(node);
            if (world.Random.NextDouble() < world.LossRate) { Deliver(node); }
            world.After(world.Random.Next(StallOneIn) == 0 ? world.Between(4_000, 8_000) : world.Between(300, 1_500), () => Again(own));
        }

        void Again(long own)
        {
            if (own == tries) { Try(); }
        }

        void Deliver(SimulatedNode node)
        {
            if (IsLost(node)) { return; }

            // It belongs to a connection, which ends with the term at its other end: what comes late is not for the next one.
            SimulatedShard? term = node.TermOf(shard);
            if (term?.Epoch > newest) { newest = term.Epoch; }
            world.After(Delay(), () => node.WhenAwake(() =>
            {
                if (term is null) { Reply(node, null, DriveAnswer.Busy); }
                else if (node.TermOf(shard) == term) { ask(node, answer => Reply(node, term, answer)); }
            }));
        }

        void Reply(SimulatedNode node, SimulatedShard? term, DriveAnswer answer)
        {
            if (IsLost(node)) { return; }
            world.After(Delay(), () =>
            {
                // With a later term it has another connection.
                if (call != calls || term?.Epoch < newest) { return; }
                if (answer.Status is Status.Busy or Status.StaleEpoch)
                {
                    long own = ++tries;
                    world.After(world.Between(20, 120), () => Again(own));
                    return;
                }

                calls++;
                IsReservedThere &= term?.Epoch == last;
                last = term?.Epoch ?? default;
                if (answer.At > Answered) { Answered = answer.At; }
                then(answer);
            });
        }
    }

    private bool IsLost(SimulatedNode node) => world.Network.IsCut(number, node.Id) || world.Random.NextDouble() < world.LossRate;

    private TimeSpan Delay() => world.Random.Next(LateOneIn) == 0 ? world.Between(50, 1_500) : world.Between(1, 6);
}
