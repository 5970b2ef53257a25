using System.Runtime.InteropServices;
using System.Text;
using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <content>What clients of a drive share: two files with the same list, of which one transaction appends to both, and a number that
/// who has a lock counts up.</content>
internal sealed partial class NamespaceClient
{
    private const string Shared = "shared";
    private const string FirstList = "shared/x";
    private const string SecondList = "shared/y";
    private const string Counter = "shared/n";
    private const string LockFile = "shared/l";

    private readonly List<PoolOperation> sharedOperations = [];

    /// <summary>Appends that were answered, and are not known to be on disk.</summary>
    private readonly List<PoolOperation> sharedUnsynced = [];
    private long values;

    /// <summary>What it appended and read.</summary>
    public IReadOnlyList<PoolOperation> SharedOperations => sharedOperations;

    /// <summary>The list that clients share, as records have it; null: it is not there.</summary>
    /// <exception cref="PoolFailedException">A transaction was done by half.</exception>
    public static long[]? ReadList(RecordTable records, DriveId drive)
    {
        StoredDriveView view = new(records, [new(drive, CowNumber.Head)]);
        long[]? first = Numbers(view, FirstList);
        long[]? second = Numbers(view, SecondList);
        if ((first is null) != (second is null) || (first is not null && !first.AsSpan().SequenceEqual(second)))
        {
            throw new PoolFailedException($"drive {drive}: {string.Join(',', first ?? [])} and {string.Join(',', second ?? [])}: half of a transaction");
        }

        return first;
    }

    /// <summary>Appends a value to both lists, or reads them.</summary>
    private void ShareList()
    {
        PoolOperation operation = new()
        {
            Shard = shard.Value,
            Value = world.Random.Next(2) == 0 ? 0 : (Number * 1_000_000L) + ++values,
            Began = world.Now,
        };
        sharedOperations.Add(operation);
        TryList(operation, again: 4, refusedAt: -1);
    }

    /// <param name="operation">What is tried.</param>
    /// <param name="again">How often more, if others append meanwhile.</param>
    /// <param name="refusedAt">The size at which it was refused, because the list is longer: it is from then on.</param>
    private void TryList(PoolOperation operation, int again, long refusedAt) => drive.Read(ReadNumbers, answer =>
    {
        if (IsOver(answer.Status))
        {
            sharedOperations.Remove(operation);
            Recover(null);
        }
        else if (answer.Status == Status.NotFound)
        {
            sharedOperations.Remove(operation);
            MakeShared();
        }
        else if (answer.Result.Length <= refusedAt)
        {
            throw new PoolFailedException($"client {Number} sees {answer.Result.Length} bytes, behind an answer that there are more than {refusedAt}");
        }
        else if (operation.Value == 0) { End(operation, MemoryMarshal.Cast<byte, long>(answer.Result.Span).ToArray()); }
        else { Append(operation, (ulong)answer.Result.Length, again); }
    });

    private DriveAnswer ReadNumbers(ShardDisk disk) => ReadList(disk.Records, id) is { } list
        ? new(Status.Ok, MemoryMarshal.AsBytes(list.AsSpan()).ToArray())
        : new(Status.NotFound);

    private void Append(PoolOperation operation, ulong size, int again) => drive.Change(
        (at, transaction, result) => Transact(
            at, [Put(transaction, FirstList, operation.Value, size, size), Put(transaction, SecondList, operation.Value, size, size)], result),
        (answer, name) =>
        {
            switch (answer.Status)
            {
                case Status.Ok:
                    sharedUnsynced.Add(operation);
                    End(operation, []);
                    break;
                case Status.Conflict when again > 0:
                    world.Note("append conflict");
                    TryList(operation, again - 1, (long)size);
                    break;
                case Status.Conflict:
                case var full when IsFull(full):
                    sharedOperations.Remove(operation);
                    GoOn();
                    break;
                case var status when IsOver(status):
                    // Done or not, nobody knows.
                    Recover(null);
                    break;
                default:
                    throw new PoolFailedException($"client {Number}, request {name}: an append is answered {answer.Status}");
            }
        });

    private void End(PoolOperation operation, long[] seen)
    {
        operation.Ended = world.Now;
        operation.Seen = seen;
        GoOn();
    }

    /// <summary>Counts up, while it has the lock: reads a number, and writes the next one.</summary>
    private void Count() => Lock(LockType.Write, locked =>
    {
        if (locked == Status.NotFound) { MakeShared(); }
        else if (locked == Status.Locked)
        {
            world.Note("locked");
            GoOn();
        }
        else if (locked != Status.Ok) { throw new PoolFailedException($"client {Number}: a lock is answered {locked}"); }
        else
        {
            // Some have it for long.
            world.Note("lock");
            world.After(world.Random.Next(3) == 0 ? world.Between(100, 1_500) : world.Between(1, 10), CountUp);
        }
    });

    private void CountUp() => drive.Read(ReadCounter, answer =>
    {
        if (IsOver(answer.Status)) { Recover(null); }
        else { Write(BitConverter.ToInt64(answer.Result.Span) + 1); }
    });

    private DriveAnswer ReadCounter(ShardDisk disk)
    {
        long[]? numbers = Numbers(new StoredDriveView(disk.Records, [new(id, CowNumber.Head)]), Counter);
        return new(Status.Ok, BitConverter.GetBytes(numbers is [long number] ? number : 0));
    }

    private void Write(long number) => drive.Change(
        (at, transaction, result) => Transact(at, [Put(transaction, Counter, number, 0, null)], result),
        (answer, _) =>
        {
            if (IsOver(answer.Status))
            {
                Recover(null);
                return;
            }

            bool isFull = IsFull(answer.Status);
            if (answer.Status != Status.Ok && !isFull) { throw new PoolFailedException($"client {Number}: a count is answered {answer.Status}"); }
            if (!world.MayLose && !isFull) { world.OnIssued(id, 'n', (ulong)number, $"client {Number}, which had the lock at {world.Now}"); }
            Lock(LockType.Unlock, _ => GoOn());
        });

    private void Lock(LockType type, Action<Status> then)
    {
        SessionId session = drive.Session;
        drive.Change(
            (at, transaction, _) => Resolve(transaction, LockFile) is var file && file == VNodeId.None
                ? Status.NotFound
                : at.Lock(file, new(0, 9, type, new(session, 1), 1)),
            (answer, _) =>
            {
                if (IsOver(answer.Status)) { Recover(null); }
                else { then(answer.Status); }
            });
    }

    /// <summary>Makes what clients share, unless somebody was first.</summary>
    private void MakeShared()
    {
        NodeReference directory = NodeReference.ResultOf(0);
        List<TransactOperation> operations = [new CreateOperation(VNodeId.Root, Encoding.UTF8.GetBytes(Shared), VNodeKind.Directory)];
        operations.AddRange(new[] { "x", "y", "n", "l" }.Select(name => new CreateOperation(directory, Encoding.UTF8.GetBytes(name), VNodeKind.File)));
        drive.Change(
            (at, _, result) => Transact(at, operations, result),
            (answer, _) =>
            {
                if (IsOver(answer.Status)) { Recover(null); }
                else { GoOn(); }
            });
    }

    private static CommitOperation Put(DriveView view, string path, long value, ulong offset, ulong? sizeBefore)
    {
        FileCommit commit = new() { MinSize = offset + sizeof(long), SizeBefore = sizeBefore };
        commit.Inline.Append(BitConverter.GetBytes(value));
        commit.Runs.Add(new(offset, sizeof(long), SliceKind.Inline, default, 0));
        return new(Resolve(view, path), commit);
    }

    /// <summary>All numbers in a file; null: it is not there.</summary>
    private static long[]? Numbers(DriveView view, string path)
    {
        VNodeId file = Resolve(view, path);
        if (file == VNodeId.None) { return null; }
        ClusterMap map = new();
        Invariant.Check(ReadCluster.Apply(file, 0, view, map) == Status.Ok);
        byte[] bytes = new byte[view.TryGetVNode(file, out VNode node) ? (int)node.Size : 0];
        foreach (Slice run in map.Runs) { map.Inline.Slice((int)run.SourceOffset, (int)run.Length).CopyTo(bytes.AsSpan((int)run.Offset)); }
        return MemoryMarshal.Cast<byte, long>(bytes).ToArray();
    }
}
