using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvFs.Mount.Tests.Kernel;

[Collection(KernelCollection.Name)]
public sealed class MountedLocksTests
{
    [Fact]
    public async Task A_signal_ends_the_wait_for_a_lock()
    {
        using MountedFileSystem mounted = new();
        int descriptor = OpenLocked(mounted);
        using Process waiter = StartWaiter(mounted);
        await mounted.Files.Locks.NextBlocked();
        await PendingAsync(mounted, 1);

        Assert.Equal(0, NativeFile.Kill(waiter.Id, NativeFile.SignalTerm));
        await mounted.Files.Locks.NextInterrupted();
        await waiter.WaitForExitAsync().WaitAsync(MountedFileSystem.Patience);
        Assert.NotEqual(0, waiter.ExitCode);
        await PendingAsync(mounted, 0);
        Assert.Equal(0, NativeFile.Close(descriptor));
        Assert.Empty(mounted.Faults);
    }

    [Fact]
    public async Task A_wait_for_a_lock_is_answered_by_whoever_unlocks()
    {
        using MountedFileSystem mounted = new();
        int descriptor = OpenLocked(mounted);
        using Process waiter = StartWaiter(mounted);
        await mounted.Files.Locks.NextBlocked();
        Assert.Equal(0, NativeFile.Flock(descriptor, NativeFile.Unlock));
        await waiter.WaitForExitAsync().WaitAsync(MountedFileSystem.Patience);
        Assert.Equal(0, waiter.ExitCode);
        Assert.Equal(0, NativeFile.Close(descriptor));
        Assert.Empty(mounted.Faults);
    }

    [Fact]
    public async Task More_waits_than_workers_do_not_stop_the_mount()
    {
        using MountedFileSystem mounted = new(change: options => options with { Workers = 2 });
        int descriptor = OpenLocked(mounted);
        Process[] waiters = [.. Enumerable.Range(0, 6).Select(_ => StartWaiter(mounted))];
        foreach (Process _ in waiters) { await mounted.Files.Locks.NextBlocked(); }
        await PendingAsync(mounted, 6);
        await File.WriteAllTextAsync(mounted["other"], "served");
        Assert.Equal("served", await File.ReadAllTextAsync(mounted["other"]));

        foreach (Process waiter in waiters)
        {
            Assert.Equal(0, NativeFile.Kill(waiter.Id, NativeFile.SignalTerm));
            await mounted.Files.Locks.NextInterrupted();
            await waiter.WaitForExitAsync().WaitAsync(MountedFileSystem.Patience);
            waiter.Dispose();
        }

        Assert.Equal(0, NativeFile.Close(descriptor));
    }

    [Fact]
    public void A_lock_that_is_taken_is_refused_at_once_to_who_does_not_wait()
    {
        using MountedFileSystem mounted = new();
        int first = OpenLocked(mounted);
        int second = NativeFile.Open(mounted["locked"], 2, 0);
        Assert.Equal(-1, NativeFile.Flock(second, NativeFile.LockExclusive | NativeFile.LockNonBlocking));
        Assert.Equal(Errno.EAGAIN, Marshal.GetLastPInvokeError());

        // Closing drops the lock: RELEASE says so, sooner or later.
        Assert.Equal(0, NativeFile.Close(first));
        Assert.Equal(0, NativeFile.Flock(second, NativeFile.LockExclusive));
        Assert.Equal(0, NativeFile.Close(second));
    }

    /// <summary>Waits until so many requests wait for somebody else: a worker says so once its handler has returned.</summary>
    private static async Task PendingAsync(MountedFileSystem mounted, int count)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(1));
        long began = TimeProvider.System.GetTimestamp();
        while (mounted.Connection.PendingRequests != count)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < MountedFileSystem.Patience, $"{mounted.Connection.PendingRequests} pending, not {count}");
            await timer.WaitForNextTickAsync();
        }
    }

    private static int OpenLocked(MountedFileSystem mounted)
    {
        int descriptor = NativeFile.Open(mounted["locked"], 0x42, 0x1B6);
        Assert.Equal(0, NativeFile.Flock(descriptor, NativeFile.LockExclusive));
        return descriptor;
    }

    /// <summary>A program of util-linux that waits for the lock, then runs true.</summary>
    private static Process StartWaiter(MountedFileSystem mounted) =>
        Process.Start("flock", [mounted["locked"], "true"]);
}
