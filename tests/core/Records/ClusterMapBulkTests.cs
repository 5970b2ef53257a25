namespace KvFs.Core.Tests.Records;

/// <summary>Many slices laid at once must show what they show laid one by one.</summary>
public class ClusterMapBulkTests
{
    [Fact]
    public void Slices_laid_at_once_show_what_they_show_one_by_one()
    {
        for (int seed = 1; seed <= 400; seed++)
        {
            Random random = new(seed);
            uint range = (uint)(1 << random.Next(4, 20));
            ClusterMap bulk = new();
            ClusterMap single = new();
            ByteBuffer payload = new();
            if (random.Next(2) == 0) { AddBase(random, range, payload, bulk, single); }
            for (int count = random.Next(1, 400); count > 0; count--)
            {
                AddSlice(random, range, payload, bulk, single);
                if (random.Next(100) == 0) { bulk.LayCollected(); }
            }

            bulk.LayCollected();
            AssertSame(seed, Joined(single), Joined(bulk));
            Assert.True(single.MappedBytes == bulk.MappedBytes, $"seed {seed}");
            Assert.True(single.DeltaCount == bulk.DeltaCount, $"seed {seed}");
            Assert.True(single.Inline.SequenceEqual(bulk.Inline), $"seed {seed}");
            for (int i = 1; i < bulk.Runs.Count; i++) { Assert.True(bulk.Runs[i - 1].End <= bulk.Runs[i].Offset, $"seed {seed}"); }
        }
    }

    private static void AddBase(Random random, uint range, ByteBuffer payload, params ClusterMap[] maps)
    {
        List<Slice> runs = [];
        for (uint at = (uint)random.Next(4); at + 8 < range && runs.Count < 300; at += (uint)random.Next(0, 9))
        {
            uint length = (uint)random.Next(1, 8);
            runs.Add(new(at, length, SliceKind.Block, new(DriveId.Read(new byte[16]), new((ulong)runs.Count + 1)), 4));
            at += length;
        }

        ClusterBase.Encode(runs.ToArray(), payload);
        foreach (ClusterMap map in maps) { Assert.True(map.TryCollect(payload.Span)); }
    }

    private static void AddSlice(Random random, uint range, ByteBuffer payload, ClusterMap bulk, ClusterMap single)
    {
        uint offset = (uint)random.Next((int)range);
        uint length = (uint)random.Next(1, (int)Math.Min(range, 64));
        SliceKind[] kinds = [SliceKind.Hole, SliceKind.Inline, SliceKind.Block, SliceKind.Unwritten];
        SliceKind kind = kinds[random.Next(kinds.Length)];
        byte[] inline = kind == SliceKind.Inline ? new byte[length] : [];
        random.NextBytes(inline);
        BlockName block = kind == SliceKind.Block ? new(DriveId.Read(new byte[16]), new((ulong)random.Next(1, 9))) : default;
        new Slice(offset, length, kind, block, kind == SliceKind.Block ? (uint)random.Next(100) : 0).Encode(inline, payload);
        Assert.True(bulk.TryCollect(payload.Span));
        Assert.True(single.TryAdd(payload.Span));
    }

    /// <summary>Cut pieces of one run are one again: how a run was cut up by what no longer shows is no difference.</summary>
    private static List<Slice> Joined(ClusterMap map)
    {
        List<Slice> joined = [];
        foreach (Slice run in map.Runs)
        {
            if (joined.Count > 0 && joined[^1] is var last && last.End == run.Offset && last.Kind == run.Kind
                && last.Block == run.Block && (!run.IsData || last.SourceOffset + last.Length == run.SourceOffset))
            {
                joined[^1] = last with { Length = last.Length + run.Length };
            }
            else
            {
                joined.Add(run);
            }
        }

        return joined;
    }

    private static void AssertSame(int seed, List<Slice> expected, List<Slice> actual)
    {
        for (int i = 0; i < Math.Max(expected.Count, actual.Count); i++)
        {
            Slice? one = i < expected.Count ? expected[i] : null;
            Slice? other = i < actual.Count ? actual[i] : null;
            Assert.True(one == other, $"seed {seed}, run {i}: one by one {one}, at once {other}");
        }
    }
}
