using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

public sealed class LogShapeTests
{
    [Fact]
    public void Runs_say_which_reign_wrote_which_entry()
    {
        LogShape log = Log(1, 1, 1, 3, 3, 7);
        Assert.Equal(new LogPosition(new(7), new(6)), log.Last);
        Assert.Equal([1UL, 1, 1, 3, 3, 7], Enumerable.Range(1, 6).Select(index => log.EpochAt(new((ulong)index)).Value));
        Assert.Equal(default, log.EpochAt(new(7)));
        Assert.True(log.Has(new(new(3), new(4))));
        Assert.False(log.Has(new(new(1), new(4))));
        Assert.False(log.Has(new(new(7), new(7))));
        Assert.True(log.Has(default));
    }

    [Fact]
    public void What_was_forgotten_stays_known_by_its_last_entry()
    {
        LogShape log = Log(1, 1, 2, 2, 3);
        log.TrimTo(new(3));
        Assert.Equal(new LogPosition(new(2), new(3)), log.Start);
        Assert.True(log.Has(new(new(2), new(3))));
        Assert.False(log.Has(new(new(1), new(3))));
        Assert.Equal(default, log.EpochAt(new(2)));
        Assert.Equal(3UL, log.EpochAt(new(5)).Value);
    }

    [Theory]
    [InlineData(new[] { 1, 1, 2 }, new[] { 1, 1, 2 }, 3)]
    [InlineData(new[] { 1, 1, 1 }, new[] { 1, 1, 2 }, 2)]
    [InlineData(new[] { 1, 1, 2, 2 }, new[] { 1, 1, 1, 1, 3 }, 2)]
    [InlineData(new[] { 1, 2, 2 }, new[] { 1, 2, 2, 2, 5 }, 3)]
    [InlineData(new[] { 2 }, new[] { 3 }, 0)]
    [InlineData(new int[0], new[] { 3, 3 }, 0)]
    public void Two_logs_share_what_one_reign_wrote_into_both(int[] ours, int[] theirs, ulong shared)
    {
        Assert.Equal(shared, Log(ours).SharedWith(Log(theirs).Runs).Value);
        Assert.Equal(shared, Log(theirs).SharedWith(Log(ours).Runs).Value);
    }

    [Fact]
    public void Logs_that_grew_under_the_rules_share_exactly_their_common_beginning()
    {
        for (int seed = 1; seed <= 2_000; seed++) { CheckShared(seed); }
    }

    /// <summary>Copies of logs that primaries of rising epochs append to: a copy is cut to what it shares with the primary.
    /// </summary>
    private static void CheckShared(int seed)
    {
        Random random = new(seed);
        List<ulong>[] plain = [[], [], []];
        for (ulong epoch = 1; epoch <= 6; epoch++)
        {
            List<ulong> primary = plain[random.Next(3)];
            int grown = random.Next(1, 4);
            foreach (List<ulong> copy in plain)
            {
                if (copy == primary || random.Next(2) == 0) { continue; }
                int same = primary.Zip(copy).TakeWhile(static pair => pair.First == pair.Second).Count();
                copy.RemoveRange(same, copy.Count - same);
                copy.AddRange(primary.Skip(same));
                copy.AddRange(Enumerable.Repeat(epoch, random.Next(grown + 1)));
            }

            primary.AddRange(Enumerable.Repeat(epoch, grown));
        }

        foreach (List<ulong> left in plain)
        {
            foreach (List<ulong> right in plain)
            {
                int same = left.Zip(right).TakeWhile(static pair => pair.First == pair.Second).Count();
                ulong shared = Log([.. left.Select(static one => (int)one)]).SharedWith(Log([.. right.Select(static one => (int)one)]).Runs).Value;
                Assert.True((ulong)same == shared, $"seed {seed}: [{string.Join(' ', left)}] [{string.Join(' ', right)}]: {shared}");
            }
        }
    }

    [Fact]
    public void A_cut_log_goes_on_under_another_reign()
    {
        LogShape log = Log(1, 1, 2, 2, 2);
        log.CutAfter(new(3));
        Assert.Equal(new LogPosition(new(2), new(3)), log.Last);
        log.CutAfter(new(1));
        Assert.Equal(new LogPosition(new(1), new(1)), log.Last);
        Assert.Equal(2UL, log.Append(new(4)).Value);
        Assert.Equal([new LogRun(default, default), new LogRun(new(1), new(1)), new LogRun(new(4), new(2))], log.Runs.AsEnumerable());
    }

    private static LogShape Log(params int[] epochs)
    {
        LogShape log = new();
        foreach (int epoch in epochs) { log.Append(new((ulong)epoch)); }
        return log;
    }
}
