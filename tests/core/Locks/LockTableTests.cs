namespace KvFs.Core.Tests;

public sealed class LockTableTests
{
    private static readonly VNodeId File = new(5);
    private static readonly VNodeId OtherFile = new(6);

    private readonly LockTable table = new();
    private readonly LockEffects effects = new();

    [Fact]
    public void A_test_names_the_first_lock_that_is_in_the_way_and_its_process()
    {
        Set(File, 10, 19, LockType.Write, owner: 1);
        Set(File, 30, 39, LockType.Write, owner: 1);

        FileLock found = table.Test(File, LockSpace.Range, Lock(0, 99, LockType.Read, owner: 2));

        Assert.Equal(Lock(10, 19, LockType.Write, owner: 1), found);
    }

    [Fact]
    public void Neighbours_of_one_type_become_one_lock_and_an_unlock_in_the_middle_splits_it()
    {
        Set(File, 0, 9, LockType.Read, owner: 1);
        Set(File, 10, 19, LockType.Read, owner: 1);
        effects.Clear();

        Set(File, 5, 6, LockType.Unlock, owner: 1);

        Assert.Equal(
            [
                new(File, LockSpace.Range, Lock(0, 19, LockType.Read, 1), Removed: true),
                new(File, LockSpace.Range, Lock(7, 19, LockType.Read, 1), Removed: false),
                new(File, LockSpace.Range, Lock(0, 4, LockType.Read, 1), Removed: false),
            ],
            effects.Changes);
    }

    [Fact]
    public void Range_locks_and_whole_locks_know_nothing_of_one_another()
    {
        Set(File, 0, LockTable.LastByte, LockType.Write, owner: 1);

        Assert.Equal(Status.Ok, table.Set(File, LockSpace.Whole, Lock(0, 0, LockType.Write, owner: 2), effects));
    }

    [Fact]
    public void A_writer_that_waits_is_not_starved_by_readers_that_come_later()
    {
        Set(File, 0, 9, LockType.Read, owner: 1);
        Assert.Equal(Status.Locked, Wait(File, 0, 9, LockType.Write, owner: 2, waiter: 20));

        Assert.Equal(Status.Locked, Wait(File, 0, 9, LockType.Read, owner: 3, waiter: 30));

        Set(File, 0, 9, LockType.Unlock, owner: 1);
        Assert.Equal([20UL], effects.Granted);
        Set(File, 0, 9, LockType.Unlock, owner: 2);
        Assert.Equal([20UL, 30UL], effects.Granted);
    }

    [Fact]
    public void An_owner_with_a_lock_does_not_wait_for_one_who_waits_for_him()
    {
        Set(File, 0, 9, LockType.Read, owner: 1);
        Wait(File, 0, 19, LockType.Write, owner: 2, waiter: 20);

        Assert.Equal(Status.Ok, Wait(File, 10, 19, LockType.Read, owner: 1, waiter: 10));
    }

    [Fact]
    public void A_wait_that_would_close_a_circle_over_two_files_is_a_deadlock()
    {
        Set(File, 0, 0, LockType.Write, owner: 1);
        Set(OtherFile, 0, 0, LockType.Write, owner: 2);
        Assert.Equal(Status.Locked, Wait(OtherFile, 0, 0, LockType.Read, owner: 1, waiter: 10));

        Assert.Equal(Status.Deadlock, Wait(File, 0, 0, LockType.Read, owner: 2, waiter: 20));
    }

    [Fact]
    public void A_canceled_waiter_lets_those_behind_it_in()
    {
        Set(File, 0, 9, LockType.Read, owner: 1);
        Wait(File, 0, 9, LockType.Write, owner: 2, waiter: 20);
        Wait(File, 0, 9, LockType.Read, owner: 3, waiter: 30);

        Assert.True(table.Cancel(20, effects));

        Assert.Equal([30UL], effects.Granted);
        Assert.False(table.Cancel(20, effects));
    }

    [Fact]
    public void An_expired_session_loses_its_locks_and_its_waiters_and_others_get_theirs()
    {
        LockOwner dead = new(new(9), 1);
        table.Set(File, LockSpace.Range, new(0, 9, LockType.Write, dead, 1), effects);
        table.Wait(File, LockSpace.Range, new(0, 9, LockType.Read, dead with { Owner = 2 }, 1), 90, effects);
        Wait(File, 0, 9, LockType.Write, owner: 1, waiter: 10);

        table.Expire(new(9), effects);

        Assert.Equal([90UL], effects.Dropped);
        Assert.Equal([10UL], effects.Granted);
    }

    [Fact]
    public void A_whole_lock_is_given_up_when_it_is_converted_even_if_the_new_one_is_refused()
    {
        table.Set(File, LockSpace.Whole, Lock(0, 0, LockType.Read, owner: 1), effects);
        table.Set(File, LockSpace.Whole, Lock(0, 0, LockType.Read, owner: 2), effects);

        Assert.Equal(Status.Locked, table.Set(File, LockSpace.Whole, Lock(0, 0, LockType.Write, owner: 1), effects));

        Assert.Equal(Status.Ok, table.Set(File, LockSpace.Whole, Lock(0, 0, LockType.Write, owner: 2), effects));
    }

    [Fact]
    public void Nonsense_is_refused()
    {
        Assert.Equal(Status.Invalid, table.Set(File, LockSpace.Range, Lock(5, 4, LockType.Read, 1), effects));
        Assert.Equal(
            Status.Invalid, table.Set(File, LockSpace.Range, Lock(0, ulong.MaxValue, LockType.Read, 1), effects));
        Assert.Equal(Status.Invalid, Wait(File, 0, 1, LockType.Unlock, owner: 1, waiter: 1));
        Assert.True(table.IsEmpty);
    }

    [Fact]
    public void An_owner_has_a_bounded_number_of_locks_and_can_always_give_them_back()
    {
        for (ulong at = 0; at < LockTable.MaxRanges; at++) { Set(File, at * 2, at * 2, LockType.Read, owner: 1); }

        FileLock more = Lock(1UL << 40, 1UL << 40, LockType.Read, owner: 1);
        Assert.Equal(Status.NoLocks, table.Set(File, LockSpace.Range, more, effects));
        table.UnlockAll(File, more.Owner, effects);
        Assert.True(table.IsEmpty);
    }

    private static FileLock Lock(ulong start, ulong end, LockType type, ulong owner) =>
        new(start, end, type, new(new(1), owner), (uint)owner + 100);

    private void Set(VNodeId file, ulong start, ulong end, LockType type, ulong owner) =>
        Assert.Equal(Status.Ok, table.Set(file, LockSpace.Range, Lock(start, end, type, owner), effects));

    private Status Wait(VNodeId file, ulong start, ulong end, LockType type, ulong owner, ulong waiter) =>
        table.Wait(file, LockSpace.Range, Lock(start, end, type, owner), waiter, effects);
}
