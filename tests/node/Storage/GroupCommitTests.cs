using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Tests.Storage;

public class GroupCommitTests
{
    [Fact]
    public void A_caller_is_never_served_by_a_sync_that_started_before_it()
    {
        long written = 0;
        long durable = 0;
        GroupCommit commit = new(() =>
        {
            long seen = Interlocked.Read(ref written);
            Thread.Yield();
            Interlocked.Exchange(ref durable, seen);
            return Status.Ok;
        });
        int lost = 0;
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 2000; i++)
            {
                long mine = Interlocked.Increment(ref written);
                if (commit.Commit() != Status.Ok || Interlocked.Read(ref durable) < mine) { Interlocked.Increment(ref lost); }
            }
        }))];
        foreach (Thread thread in threads) { thread.Start(); }
        foreach (Thread thread in threads) { thread.Join(); }
        Assert.Equal(0, lost);
        Assert.InRange(commit.Runs, 2000, 16_000);
    }

    [Fact]
    public void A_failure_is_final_and_the_sync_never_runs_again()
    {
        int runs = 0;
        GroupCommit commit = new(() => ++runs == 1 ? Status.Ok : Status.IoError);
        Assert.Equal(Status.Ok, commit.Commit());
        Assert.Equal(Status.IoError, commit.Commit());
        Assert.Equal(Status.IoError, commit.Commit());
        Assert.True(commit.IsFailed);
        Assert.Equal(2, runs);
    }

    [Fact]
    public void A_full_disk_is_not_final()
    {
        Queue<Status> results = new([Status.NoSpace, Status.Ok]);
        GroupCommit commit = new(results.Dequeue);
        Assert.Equal(Status.NoSpace, commit.Commit());
        Assert.Equal(Status.Ok, commit.Commit());
    }

    [Fact]
    public void An_uncontended_commit_allocates_nothing()
    {
        GroupCommit commit = new(static () => Status.Ok);
        commit.Commit();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) { commit.Commit(); }
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
