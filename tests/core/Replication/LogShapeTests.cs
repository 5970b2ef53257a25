using System.Collections.Immutable;
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

    [Fact]
    public void A_place_that_was_written_anew_is_not_there_though_its_entry_is_forgotten()
    {
        LogShape log = Log(5, 5, 5, 7, 7, 7);
        log.TrimTo(new(6));
        Assert.True(log.Has(new(new(5), new(3))));
        Assert.False(log.Has(new(new(5), new(4))));
        Assert.False(log.Has(new(new(6), new(4))));
        Assert.True(log.Has(new(new(7), new(4))));

        // The same on a copy that took a snapshot, and on one that knows only where its log begins.
        LogShape copy = new(log.Start, log.EndedBefore(log.Start.Index));
        Assert.False(copy.Has(new(new(5), new(4))));
        LogShape old = new(log.Start);
        Assert.True(old.Has(new(new(5), new(4))));
        Assert.False(old.Has(new(new(8), new(4))));
    }

    [Fact]
    public void Whatever_is_cut_forgotten_and_begun_anew_the_places_that_survived_are_there_and_no_others()
    {
        int below = 0;
        for (int seed = 1; seed <= 2_000; seed++) { below += CheckPlaces(seed); }

        // Else nothing was forgotten.
        Assert.True(below > 10_000);
    }

    /// <summary>A log beside a plain list of its entries: all places that ever were are judged as the list says.</summary>
    private static int CheckPlaces(int seed)
    {
        Random random = new(seed);
        LogShape log = new();
        List<Epoch> plain = [];
        HashSet<LogPosition> ever = [];
        ulong epoch = 1;
        int below = 0;
        for (int step = 0; step < 40; step++)
        {
            int start = (int)log.Start.Index.Value;
            int index = start + random.Next(plain.Count - start + 1);
            switch (random.Next(6))
            {
                case 0:
                    log.CutAfter(new((ulong)index));
                    plain.RemoveRange(index, plain.Count - index);
                    epoch++;
                    break;
                case 1:
                    log.TrimTo(new((ulong)index));
                    break;
                case 2 when index > 0:
                    // A snapshot of the log up to there, or a start from a disk that has nothing behind it.
                    log.Restart(new(log.EpochAt(new((ulong)index)), new((ulong)index)), log.EndedBefore(new((ulong)index)));
                    plain.RemoveRange(index, plain.Count - index);
                    epoch++;
                    break;
                default:
                    plain.Add(new(epoch));
                    ever.Add(new(new(epoch), log.Append(new(epoch))));
                    break;
            }

            foreach (LogPosition place in ever)
            {
                bool isThere = place.Index.Value <= (ulong)plain.Count && plain[(int)place.Index.Value - 1] == place.Epoch;
                Assert.True(isThere == log.Has(place), $"seed {seed}, step {step}: {place}");
                if (place.Index < log.Start.Index) { below++; }
            }
        }

        return below;
    }

    [Fact]
    public void Of_more_reigns_than_are_remembered_the_last_are()
    {
        LogShape log = new();
        for (ulong epoch = 1; epoch <= 3 * LogShape.MaxEnded; epoch++) { log.Append(new(epoch)); }
        log.TrimTo(log.Last.Index);
        ImmutableArray<LogRun> ended = log.EndedBefore(log.Start.Index);
        Assert.Equal(LogShape.MaxEnded, ended.Length);
        Assert.True(LogShape.MayHaveEnded(ended, log.Start));
        LogPosition oldest = new(ended[0].Epoch, ended[0].Last);
        Assert.True(log.Has(oldest));
        Assert.False(log.Has(new(oldest.Epoch, oldest.Index.Next)));
        Assert.True(log.Has(new(new(7), new(7))));
        Assert.False(log.Has(new(new(oldest.Epoch.Value + 1), new(7))));
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
