using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

/// <summary>Locks that the primary cannot record, because it is about to hand over.</summary>
public sealed class UnrecordedLockTests : QuietNodeTests
{
    private static readonly LockOwner s_other = new(new(77), 1);

    [Fact]
    public async Task A_lock_without_a_record_is_not_granted_and_gets_its_record_when_it_is_asked_for_again()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        FileLock wanted = Lock(new(session.Id, 1), LockType.Write);
        Node.IsLeaving = true;
        Assert.Equal(Status.StaleEpoch, await SetAsync(session, file, wanted));
        Assert.Equal(0, Recorded(file));

        // The hand-over is called off.
        Node.IsLeaving = false;
        Assert.Equal(Status.Ok, await SetAsync(session, file, wanted));
        Assert.Equal(1, Recorded(file));
    }

    [Fact]
    public async Task An_unlock_without_a_record_is_not_answered_either()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        LockOwner owner = new(session.Id, 1);
        Assert.Equal(Status.Ok, await SetAsync(session, file, Lock(owner, LockType.Write)));
        Assert.Equal(1, Recorded(file));
        Node.IsLeaving = true;
        Assert.Equal(Status.StaleEpoch, await SetAsync(session, file, Lock(owner, LockType.Unlock)));
        Assert.Equal(Status.StaleEpoch, await session.UnlockAllAsync(file, owner));
        Assert.Equal(1, Recorded(file));
        Node.IsLeaving = false;
        Assert.Equal(Status.Ok, await session.UnlockAllAsync(file, owner));
        Assert.Equal(0, Recorded(file));
    }

    [Fact]
    public async Task What_could_not_be_recorded_goes_with_the_next_change()
    {
        IDriveSession session = await OpenAsync("d");
        VNodeId file = await CreateAsync(session, "f");
        VNodeId other = await CreateAsync(session, "g");
        Node.IsLeaving = true;
        Assert.Equal(Status.StaleEpoch, await SetAsync(session, file, Lock(new(session.Id, 1), LockType.Write)));
        Node.IsLeaving = false;
        Assert.Equal(Status.Ok, await SetAsync(session, other, Lock(new(session.Id, 2), LockType.Read)));
        Assert.Equal((1, 1), (Recorded(file), Recorded(other)));
    }

    private static FileLock Lock(LockOwner owner, LockType type) => new(0, 99, type, owner, 1);

    private static async Task<Status> SetAsync(IDriveSession session, VNodeId file, FileLock wanted) =>
        await session.SetLockAsync(file, LockSpace.Range, wanted, wait: false, CancellationToken.None);

    /// <summary>Whether the records, as a takeover reads them, have a lock of the file.</summary>
    private int Recorded(VNodeId file)
    {
        LockTable table = new();
        Assert.Equal(Status.Ok, Node.Drive("d").Read(
            CowNumber.Head,
            static (DriveView view, LockTable into, out bool done) =>
            {
                done = true;
                LockRecords.Load(view, into);
                return Status.Ok;
            },
            table,
            out bool _));
        return table.Test(file, LockSpace.Range, Lock(s_other, LockType.Write)).Type == LockType.Unlock ? 0 : 1;
    }
}
