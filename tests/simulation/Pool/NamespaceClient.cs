using System.Runtime.InteropServices;
using System.Text;
using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <summary>A client of a shard's drive. It has a directory for itself, of which it knows at every moment what is there; what it shares
/// with others is checked by its history.</summary>
/// <remarks>An operation that was answered is done, and one that was not is done or not, as one: after a session is over, its directory shows
/// the last state, or the one behind what was under way. After a power cut of all it may also show an earlier one, but none before what was
/// synced.</remarks>
internal sealed partial class NamespaceClient
{
    private readonly PoolWorld world;
    private readonly ShardId shard;
    private readonly DriveId id;
    private readonly string home;
    private readonly DriveCaller drive;

    /// <summary>What its directory showed, from what is known to be on disk to now.</summary>
    private readonly List<HomeState> states;
    private int tokens = ModelFile.FirstToken;
    private int snapshots;
    private bool isStopped;

    /// <param name="world">Where.</param>
    /// <param name="number">Its own.</param>
    /// <param name="shard">Where its drive lives.</param>
    /// <param name="origin">The clone that it works in; null: it works in the shard's own drive.</param>
    public NamespaceClient(PoolWorld world, int number, ShardId shard, CloneOrigin? origin)
    {
        this.world = world;
        this.shard = shard;
        this.origin = origin;
        id = origin?.Drive ?? PoolWorld.DriveOf(shard);
        states = [origin?.Shown ?? new(null)];
        Number = number;
        home = $"c{number}";
        drive = new(world, number, shard, id);
    }

    public int Number { get; }

    public ShardId Shard => shard;

    /// <summary>Nothing is under way, and nothing begins any more.</summary>
    public bool IsDone { get; private set; }

    public int Answered { get; private set; }

    private HomeState State => states[^1];

    public void Start() => world.After(world.Between(1, 500), () =>
    {
        if (origin is { IsMade: false }) { Leave(); }
        else { Recover(null); }
    });

    public void Stop() => isStopped = true;

    /// <summary>Compares what its directory is in the end with what it knows.</summary>
    public void Check(ShardDisk disk)
    {
        if (!IsDone) { throw new PoolFailedException($"client {Number} is not answered"); }
        string shown = HomeState.Read(disk, id, home) ?? "";
        if (shown != State.Image) { throw Differs(shown, State.Image); }
    }

    private void Next() => world.After(world.Between(20, 350), () =>
    {
        if (isStopped)
        {
            if (origin is null) { IsDone = true; }
            else { Delete(); }
            return;
        }

        if (origin is not null && world.Random.Next(DeletesOneIn) == 0)
        {
            Delete();
            return;
        }

        switch (world.Random.Next(world.HasQuota ? 28 : 24))
        {
            case < 8:
                ChangeTree();
                break;
            case 8 or 9:
                UseOpen();
                break;
            case 10:
                MakeClone();
                break;
            case 11 or 12:
                StoreBlock();
                break;
            case 13:
                Read();
                break;
            case < 17:
                Sync();
                break;
            case 17:
                MakeSnapshot();
                break;
            case 18:
                DropSnapshot();
                break;
            case < 24 when origin is not null:
                StoreBlock();
                break;
            case < 22:
                ShareList();
                break;
            case < 24:
                Count();
                break;
            case < 27:
                Reserve();
                break;
            default:
                Unreserve();
                break;
        }
    });

    /// <summary>One operation, or several of which all are done or none.</summary>
    private void ChangeTree()
    {
        if (State.Tree is not { } tree)
        {
            Commit([new CreateOperation(VNodeId.Root, Encoding.UTF8.GetBytes(home), VNodeKind.Directory) { Mode = 0x1ED }], Status.Ok, new(ModelTree.New));
            return;
        }

        TreeDraw draw = new(world.Random, tree);
        List<TreeOperation> operations = [];
        Status expected = Status.Ok;
        int count = world.Random.Next(3) == 0 ? world.Random.Next(2, 5) : 1;
        while (operations.Count < count && expected == Status.Ok) { operations.Add(draw.Next(tokens++, out expected)); }
        if (operations.Count > 1) { world.Note(expected == Status.Ok ? "transaction" : "transaction refused"); }
        Commit(operations, tree, expected, State with { Tree = expected == Status.Ok ? draw.Tree : tree });
    }

    private void Commit(
        List<TreeOperation> operations, ModelTree before, Status expected, HomeState after, Action? again = null, Action? refused = null) => Do(
        string.Join(", ", operations),
        expected,
        after,
        (at, transaction, result) =>
            Transact(at, [.. operations.Select(one => one.ForCore(id => Resolve(transaction, home + PathOf(before, id))))], result),
        again,
        operations.Count == 1 ? Needed(before, after.Tree!) : null,
        refused);

    /// <summary>What the model knows by a number is found by its path.</summary>
    private static string PathOf(ModelTree tree, ulong id) =>
        id == ModelTree.Root ? "" : tree.PathOf(tree.Names().First(name => name.Node == id));

    private void Commit(List<TransactOperation> operations, Status expected, HomeState after) =>
        Do($"mkdir {home}", expected, after, (at, _, result) => Transact(at, operations, result));

    private Status Transact(SimulatedDrive at, List<TransactOperation> operations, ByteBuffer result)
    {
        TransactResult done = new();
        Status status = at.Transact(drive.Session, operations, done);
        for (int each = 0; status == Status.Ok && each < operations.Count; each++)
        {
            if (operations[each] is CreateOperation) { result.Append(BitConverter.GetBytes(done.Nodes[each].Id.Value)); }
        }

        return status;
    }

    /// <summary>A change of its own directory, of which it knows what must be answered, and what is there then.</summary>
    /// <param name="what">For who reads that it failed.</param>
    /// <param name="expected">What must be answered, but that the drive may be full.</param>
    /// <param name="after">What is there then.</param>
    /// <param name="change">What is asked for.</param>
    /// <param name="again">What to do if a block that it names is not known; null: it names none.</param>
    /// <param name="needed">What the drive's use grows by, if that is all that it may come to on the way; null: it may be more.</param>
    /// <param name="refused">What to do if there is no room; null: go on.</param>
    private void Do(
        string what, Status expected, HomeState after, DriveChange change, Action? again = null, Reservation? needed = null, Action? refused = null) => drive.Change(change, (answer, name) =>
    {
        if (answer.Status == Status.NotFound && again is not null)
        {
            world.Note("block lost");
            again();
            return;
        }

        if (IsOver(answer.Status))
        {
            Recover(expected == Status.Ok ? after : null);
            return;
        }

        bool isFull = IsFull(answer.Status);
        if (answer.Status != expected && !isFull)
        {
            throw new PoolFailedException($"client {Number}: {what} is answered {answer.Status}, and is to be {expected}");
        }

        if (isFull) { CheckPromise(what, needed); }
        if (answer.Status == Status.Ok) { states.Add(after); }
        foreach (ulong made in MemoryMarshal.Cast<byte, ulong>(answer.Result.Span).ToArray())
        {
            world.OnIssued(id, 'v', made, $"request {name} of client {Number}");
        }

        if (isFull && refused is not null) { refused(); }
        else { GoOn(); }
    });

    /// <summary>Writes to a file what goes into a block: takes an id, has the block stored, and has a transaction name it.</summary>
    private void StoreBlock()
    {
        if (State.Tree is not { } tree || tree.Files() is not { Count: > 0 } files)
        {
            Next();
            return;
        }

        WriteCell write = new(files[world.Random.Next(files.Count)], world.Random.Next(3), tokens++);
        SessionId session = drive.Session;
        drive.Change(
            (_, transaction, result) =>
            {
                Status status = GrantBlocks.Apply(session, 1, transaction, out BlockId first);
                result.Append(BitConverter.GetBytes(first.Value));
                return status;
            },
            (answer, name) =>
            {
                if (IsOver(answer.Status))
                {
                    Recover(null);
                    return;
                }

                if (answer.Status != Status.Ok) { throw new PoolFailedException($"client {Number}: a grant is answered {answer.Status}"); }
                BlockId block = new(BitConverter.ToUInt64(answer.Result.Span));
                world.OnIssued(id, 'b', block.Value, $"request {name} of client {Number}");
                StoreBlock(tree, write with { Block = new(id, block) });
            });
    }

    /// <summary>Has the block stored, and named; where another primary is to name it, which may not have it, once more.</summary>
    private void StoreBlock(ModelTree tree, WriteCell write) => drive.WriteBlock(write.Block.Id, write.Token, status =>
    {
        if (IsOver(status))
        {
            Recover(null);
            return;
        }

        world.Note("block");
        ModelTree after = tree;
        write.ApplyTo(ref after);
        Commit([write], tree, Status.Ok, State with { Tree = after }, again: () => StoreBlock(tree, write), refused: () => Return(write.Block.Id));
    });

    /// <summary>Gives a block back that could not be named; some leave that to the end of their session.</summary>
    private void Return(BlockId block)
    {
        if (world.Random.Next(2) == 0)
        {
            GoOn();
            return;
        }

        SessionId session = drive.Session;
        drive.Change((at, _, _) => at.ReturnBlock(session, block), (answer, _) => EndOf("the return of a block", answer.Status));
    }

    private void Read() => drive.Read(
        ReadHome,
        answer =>
        {
            if (IsOver(answer.Status)) { Recover(null); }
            else if (answer.Text != State.Image) { throw Differs(answer.Text, State.Image); }
            else { GoOn(); }
        });

    private void Sync()
    {
        int shared = sharedUnsynced.Count;
        drive.Sync(status =>
        {
            if (IsOver(status))
            {
                Recover(null);
                return;
            }

            if (status == Status.Ok)
            {
                states.RemoveRange(0, states.Count - 1);
                foreach (PoolOperation one in sharedUnsynced.Take(shared)) { one.IsDurable = true; }
                sharedUnsynced.RemoveRange(0, shared);
            }

            GoOn();
        });
    }

    private void MakeSnapshot()
    {
        if (State.Tree is not { } tree || State.Snapshots.Count > 1)
        {
            Next();
            return;
        }

        string name = $"{home}-{++snapshots}";
        world.Note("drive snapshot");
        Do("a snapshot", Status.Ok, State with { Snapshots = State.Snapshots.Add(name, tree) }, (_, transaction, _) =>
            CreateSnapshot.Apply(name, transaction, out RetainedVersion _));
    }

    private void DropSnapshot()
    {
        if (State.Snapshots.IsEmpty)
        {
            Next();
            return;
        }

        string name = State.Snapshots.Keys.ElementAt(world.Random.Next(State.Snapshots.Count));
        Do("the end of a snapshot", Status.Ok, State with { Snapshots = State.Snapshots.Remove(name) }, (_, transaction, _) => DeleteSnapshot.Apply(name, transaction));
    }

    /// <summary>Its session is over: looks what is there, and goes on with another one.</summary>
    /// <param name="underWay">What is there if what was asked for last was done.</param>
    private void Recover(HomeState? underWay)
    {
        // What was not synced may be lost: a later sync says nothing of it.
        sharedUnsynced.Clear();
        open.Clear();
        drive.Open(status =>
        {
            if (status == Status.NotFound)
            {
                EndLost();
                return;
            }

            drive.Read(ReadHome, answer =>
            {
                if (IsOver(answer.Status)) { Recover(underWay); }
                else
                {
                    Find(answer.Text, underWay);
                    Next();
                }
            });
        });
    }

    private DriveAnswer ReadHome(ShardDisk disk) =>
        HomeState.Read(disk, id, home) is { } shown ? new(Status.Ok, Text: shown) : new(Status.SessionExpired);

    /// <summary>Goes on from what is there, if it may be.</summary>
    private void Find(string shown, HomeState? underWay)
    {
        if (underWay is not null && underWay.Image == shown)
        {
            world.Note("unanswered and done");
            states.Add(underWay);
            return;
        }

        int at = states.FindLastIndex(state => state.Image == shown);
        if (at < 0 || (at < states.Count - 1 && !world.MayLose)) { throw Differs(shown, State.Image); }
        if (at < states.Count - 1) { world.Note("names lost"); }
        else if (underWay is not null) { world.Note("unanswered and not done"); }
        states.RemoveRange(at + 1, states.Count - at - 1);
    }

    private bool IsOver(Status status)
    {
        if (status == Status.Lost && !world.MayLose) { throw new PoolFailedException($"client {Number} is told that what was answered is lost"); }
        return status is Status.SessionExpired or Status.Lost;
    }

    private void GoOn()
    {
        Answered++;
        Next();
    }

    private static VNodeId Resolve(DriveView view, string path) =>
        ResolvePath.Apply(view, Encoding.UTF8.GetBytes(path), out NodeInfo found) == Status.Ok ? found.Id : VNodeId.None;

    private PoolFailedException Differs(string shown, string expected) =>
        new($"client {Number} at {world.Now} sees\n{shown}\nand not\n{expected}");
}
