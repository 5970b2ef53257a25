namespace KvFs.Mount.Tests.Kernel;

public sealed class FusePollingTests
{
    /// <summary>Requests after which it looks whether others need the processor, if all follow each other.</summary>
    private const int RowOfALook = 8 + 64;

    private readonly ManualClock clock = new();
    private long waitedNs;

    [Fact]
    public void It_polls_as_long_as_requests_follow_each_other()
    {
        FusePolling polling = new(clock, () => 0);
        for (int at = 0; at < 1000; at++) { Poll(polling, found: true); }
    }

    [Fact]
    public void Requests_that_do_not_come_in_time_are_slept_for_ever_more_often()
    {
        FusePolling polling = new(clock, () => 0);
        int last = 0;
        for (int round = 0; round < 20; round++)
        {
            Poll(polling, found: false);
            int slept = CountSlept(polling);
            Assert.True(slept > last || slept == 4096);
            last = slept;
        }

        Assert.Equal(4096, last);
        Poll(polling, found: true);
        Poll(polling, found: false);
        Assert.Equal(1, CountSlept(polling));
    }

    [Fact]
    public void It_leaves_off_for_ever_longer_where_others_need_the_processor()
    {
        FusePolling polling = new(clock, () => waitedNs);
        int last = 0;
        for (int round = 0; round < 8; round++)
        {
            PollAndWait(polling);
            int slept = CountSlept(polling);
            Assert.True(slept > last || slept == 4096);
            last = slept;
        }

        Assert.Equal(4096, last);
        for (int at = 0; at < RowOfALook; at++) { Poll(polling, found: true); }
        PollAndWait(polling);
        Assert.Equal(256, CountSlept(polling));
    }

    [Fact]
    public void Who_had_the_processor_while_it_slept_does_not_keep_it_from_polling()
    {
        FusePolling polling = new(clock, () => waitedNs);
        PollAndWait(polling);
        CountSlept(polling);
        waitedNs += 1_000_000_000;
        for (int at = 0; at < 1000; at++) { Poll(polling, found: true); }
    }

    [Fact]
    public void Who_only_passes_by_does_not_keep_it_from_polling()
    {
        FusePolling polling = new(clock, () => waitedNs);
        for (int at = 0; at < 1000; at++)
        {
            Poll(polling, found: true);
            clock.Advance(TimeSpan.FromMicroseconds(20));
            waitedNs += 4_000;
        }
    }

    [Fact]
    public void Requests_that_do_not_come_in_time_do_not_end_the_count()
    {
        FusePolling polling = new(clock, () => waitedNs);
        for (int row = 0; row < 4; row++)
        {
            for (int at = 0; at < 8 + 15; at++) { PollSlowly(polling); }
            Poll(polling, found: false);
            Assert.Equal(1, CountSlept(polling));
        }

        for (int at = 0; at < 8 + 4; at++) { PollSlowly(polling); }
        Assert.Equal(256, CountSlept(polling));
    }

    [Fact]
    public void Nothing_is_counted_where_few_requests_follow_each_other()
    {
        FusePolling polling = new(clock, () => throw new InvalidOperationException("each count costs a call"));
        for (int round = 0; round < 100; round++)
        {
            for (int at = 0; at < 7; at++) { Poll(polling, found: true); }
            Poll(polling, found: false);
            Assert.Equal(1, CountSlept(polling));
        }
    }

    [Fact]
    public void A_thread_that_others_run_beside_counts_how_long_it_waits()
    {
        using CancellationTokenSource done = new();
        Thread[] others = [.. Enumerable.Range(0, 2 * Environment.ProcessorCount).Select(_ => new Thread(() =>
        {
            while (!done.IsCancellationRequested) { Thread.SpinWait(100); }
        }))];
        foreach (Thread other in others) { other.Start(); }
        using ThreadUsage usage = ThreadUsage.Open();
        long before = usage.WaitedNs();
        SpinWait spin = default;
        while (usage.WaitedNs() - before < 10_000_000) { spin.SpinOnce(sleep1Threshold: -1); }
        done.Cancel();
        foreach (Thread other in others) { other.Join(); }
    }

    private void PollAndWait(FusePolling polling)
    {
        for (int at = 0; at < RowOfALook; at++) { PollSlowly(polling); }
    }

    /// <summary>A request that comes while the thread waits for a processor for more than a quarter of the time.</summary>
    private void PollSlowly(FusePolling polling)
    {
        Poll(polling, found: true);
        clock.Advance(TimeSpan.FromMicroseconds(20));
        waitedNs += 6_000;
    }

    private static void Poll(FusePolling polling, bool found)
    {
        Assert.True(polling.ShouldPoll());
        polling.OnPolled(found);
    }

    private static int CountSlept(FusePolling polling)
    {
        int slept = 0;
        while (!polling.ShouldPoll()) { slept++; }
        return slept;
    }
}
