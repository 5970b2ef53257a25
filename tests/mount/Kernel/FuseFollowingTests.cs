namespace KvFs.Mount.Tests.Kernel;

public sealed class FuseFollowingTests
{
    private const uint Program = 100;
    private const int Row = 16;
    private const int Trial = 4;
    private const int Pause = 64;

    private readonly ManualClock clock = new();
    private readonly FakeProcessors processors = new();
    private readonly FuseFollowing following;
    private long waitedNs;

    public FuseFollowingTests() => following = new(processors, clock, () => waitedNs);

    [Fact]
    public void A_worker_goes_to_the_processor_of_a_program_that_asks_again_and_again()
    {
        Ask(Program, Row - 1);
        Assert.False(following.IsBeside);
        Ask(Program, 1);
        Assert.True(following.IsBeside);
        Assert.Equal(1, processors.Kept);
        Ask(Program, 1000);
        Assert.True(following.IsBeside);
        Assert.Equal(1, processors.Moves);
    }

    [Fact]
    public void Programs_that_ask_by_turns_are_not_followed()
    {
        for (int at = 0; at < 1000; at++) { Ask(Program + (uint)(at % 2), 1); }
        Assert.Equal(0, processors.Moves);
    }

    [Fact]
    public void It_lets_go_when_another_asks()
    {
        Ask(Program, Row);
        Ask(Program + 1, 1);
        Assert.False(following.IsBeside);
        Assert.Equal(-1, processors.Kept);
        Ask(Program + 1, Row - 1);
        Assert.True(following.IsBeside);
    }

    [Fact]
    public void It_lets_go_when_much_data_is_moved_and_begins_anew_behind_that()
    {
        Ask(Program, Row);
        following.OnRequest(Program, isShort: false);
        Assert.False(following.IsBeside);
        Ask(Program, Row - 1);
        Assert.False(following.IsBeside);
        Ask(Program, 1);
        Assert.True(following.IsBeside);
    }

    [Fact]
    public void Nobody_in_particular_is_not_followed()
    {
        Ask(0, 1000);
        Assert.Equal(0, processors.Looks);
    }

    [Fact]
    public void A_program_that_the_scheduler_takes_elsewhere_is_followed_ever_more_rarely()
    {
        processors.Flees = true;
        int last = 0;
        for (int attempt = 1; attempt < 12; attempt++)
        {
            int requests = CountUntil(() => processors.Moves == attempt);
            Assert.True(requests > last || requests == 8192);
            last = requests;
            Ask(Program, Trial);
            Assert.False(following.IsBeside);
            Assert.Equal(-1, processors.Kept);
        }

        Assert.Equal(8192, last);

        // Once it stays, the next loss costs no more than the first.
        processors.Flees = false;
        _ = CountUntil(() => following.IsBeside);
        Ask(Program, Trial);
        processors.Where = 1 - processors.Where;
        _ = CountUntil(() => !following.IsBeside);
        Assert.Equal(2 * Pause, CountUntil(() => following.IsBeside));
    }

    [Fact]
    public void It_lets_go_where_others_need_the_processor()
    {
        Ask(Program, Row + Trial);
        Assert.True(following.IsBeside);
        AskAndWait(waitsQuarters: 2);
        Assert.True(following.IsBeside);
        AskAndWait(waitsQuarters: 4);
        Assert.False(following.IsBeside);
    }

    [Fact]
    public void What_cannot_be_seen_or_may_not_be_gone_to_is_hardly_looked_for_again()
    {
        processors.Where = -1;
        Ask(Program, 8000);
        Assert.Equal(1, processors.Looks);
        processors.Where = 1;
        processors.Refuses = true;
        Ask(Program + 1, 8000);
        Assert.Equal(2, processors.Looks);
        Assert.False(following.IsBeside);
    }

    private void Ask(uint asker, int times)
    {
        for (int at = 0; at < times; at++) { following.OnRequest(asker, isShort: true); }
    }

    private int CountUntil(Func<bool> done)
    {
        int requests = 0;
        while (!done())
        {
            Assert.True(requests < 20000);
            Ask(Program, 1);
            requests++;
        }

        return requests;
    }

    private void AskAndWait(int waitsQuarters)
    {
        for (int at = 0; at < Pause; at++)
        {
            clock.Advance(TimeSpan.FromMicroseconds(4));
            waitedNs += 1000 * waitsQuarters;
            Ask(Program, 1);
        }
    }

    /// <summary>Two processors; the program is on the second.</summary>
    private sealed class FakeProcessors : IThreadProcessors
    {
        public int Where { get; set; } = 1;

        public bool Flees { get; set; }

        public bool Refuses { get; set; }

        public int Kept { get; private set; } = -1;

        public int Moves { get; private set; }

        public int Looks { get; private set; }

        public int Of(uint thread)
        {
            Looks++;
            return Where;
        }

        public bool TryKeep(int processor)
        {
            if (Refuses) { return false; }
            Kept = processor;
            Moves++;
            if (Flees) { Where = 1 - Where; }
            return true;
        }

        public void Release() => Kept = -1;
    }
}
