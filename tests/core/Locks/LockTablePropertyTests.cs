using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Core.Tests;

public sealed class LockTablePropertyTests
{
    private static readonly SessionId Session = new(1);

    [Fact]
    public void The_table_and_its_records_do_what_locks_byte_by_byte_do() =>
        Prop.ForAll<int>(seed => Run(seed)).QuickCheckThrowOnFailure();

    private static void Run(int seed)
    {
        Random random = new(seed);
        LockTable table = new();
        NaiveLocks naive = new();
        TestDrive drive = new();
        LockEffects effects = new();
        ulong lastWaiter = 0;
        for (int step = 0; step < 80; step++)
        {
            effects.Clear();
            naive.Granted.Clear();
            int file = random.Next(2);
            LockSpace space = random.Next(4) == 0 ? LockSpace.Whole : LockSpace.Range;
            FileLock wanted = Draw(random);
            ulong[] waiting = [.. naive.Waiting];
            if (waiting.Length > 0 && random.Next(6) == 0)
            {
                ulong canceled = waiting[random.Next(waiting.Length)];
                Assert.True(table.Cancel(canceled, effects));
                naive.Cancel(canceled);
            }
            else if (wanted.Type != LockType.Unlock && random.Next(2) == 0)
            {
                lastWaiter++;
                Assert.Equal(
                    naive.Wait(file, space, Naive(space, wanted), lastWaiter),
                    table.Wait(new((ulong)file), space, wanted, lastWaiter, effects));
            }
            else
            {
                Assert.Equal(
                    naive.Set(file, space, Naive(space, wanted)), table.Set(new((ulong)file), space, wanted, effects));
            }

            Assert.Equal(naive.Granted, effects.Granted);
            drive.Run(transaction =>
            {
                LockRecords.Write(effects.Changes, transaction);
                return Status.Ok;
            });
            Compare(table, naive);
        }

        LockTable restored = new();
        LockRecords.Load(drive.Head, restored);
        Compare(restored, naive);
        table.Expire(Session, effects);
        Assert.True(table.IsEmpty);
        Assert.Equal(naive.Waiting.Order(), effects.Dropped.Order());
    }

    private static FileLock Draw(Random random)
    {
        int start = random.Next(NaiveLocks.Bytes - 1);
        ulong end = random.Next(4) == 0 ? LockTable.LastByte : (ulong)random.Next(start, NaiveLocks.Bytes - 1);
        return new((ulong)start, end, (LockType)random.Next(3), new(Session, (ulong)random.Next(4)), 77);
    }

    private static FileLock Naive(LockSpace space, FileLock wanted) =>
        space == LockSpace.Whole ? wanted with { Start = 0, End = LockTable.LastByte } : wanted;

    /// <summary>Asks, for each byte and owner, what would be in the way.</summary>
    private static void Compare(LockTable table, NaiveLocks naive)
    {
        for (int file = 0; file < 2; file++)
        {
            for (int at = 0; at < NaiveLocks.Bytes; at++)
            {
                foreach (LockSpace space in (LockSpace[])[LockSpace.Range, LockSpace.Whole])
                {
                    Compare(table, naive, file, space, (ulong)at);
                }
            }
        }
    }

    private static void Compare(LockTable table, NaiveLocks naive, int file, LockSpace space, ulong at)
    {
        for (ulong owner = 0; owner < 5; owner++)
        {
            foreach (LockType type in (LockType[])[LockType.Read, LockType.Write])
            {
                FileLock wanted = Naive(space, new(at, at, type, new(Session, owner), 0));
                SortedSet<ulong> blockers = naive.Blockers(file, space, wanted);
                FileLock found = table.Test(new((ulong)file), space, wanted);
                Assert.Equal(blockers.Count > 0, found.Type != LockType.Unlock);
                if (blockers.Count == 0) { continue; }
                Assert.Contains(found.Owner.Owner, blockers);
                Assert.Equal(naive.At(file, space, found.Owner.Owner, (int)at), found.Type);
            }
        }
    }
}
