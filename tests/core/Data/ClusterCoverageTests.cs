namespace KvFs.Core.Tests;

public sealed class ClusterCoverageTests
{
    [Fact]
    public void Random_slices_cover_what_an_array_of_bytes_says()
    {
        for (int seed = 0; seed < 200; seed++) { Run(seed); }
    }

    private static void Run(int seed)
    {
        Random random = new(seed);
        ClusterCoverage coverage = new();
        ClusterMap map = new();
        bool[] backed = new bool[200];
        for (int step = 0; step < 60; step++)
        {
            int from = random.Next(backed.Length);
            int length = random.Next(1, backed.Length - from + 1);
            bool maps = random.Next(3) != 0;
            Slice slice = new((uint)from, (uint)length, maps ? SliceKind.Unwritten : SliceKind.Hole, default, 0);
            int before = backed.Count(on => on);
            backed.AsSpan(from, length).Fill(maps);
            long growth = backed.Count(on => on) - before;

            Assert.Equal(growth, coverage.LayDelta(slice));
            Assert.Equal(growth, map.Overlay(slice, default));
            Check(random, coverage, map, backed);
        }
    }

    private static void Check(Random random, ClusterCoverage coverage, ClusterMap map, bool[] backed)
    {
        int from = random.Next(backed.Length);
        int to = random.Next(from, backed.Length + 1);
        ulong expected = (ulong)backed.AsSpan(from, to - from).Count(true);
        Assert.Equal(expected, coverage.MappedIn((uint)from, (uint)to));
        Assert.Equal(expected, map.MappedIn((uint)from, (uint)to));
        Assert.Equal((ulong)backed.Count(on => on), coverage.MappedBytes);
        int gap = backed.AsSpan(from, to - from).IndexOf(false);
        int start = gap < 0 ? to : from + gap;
        int gapLength = backed.AsSpan(start, to - start).IndexOf(true);
        Assert.Equal(((uint)start, (uint)(gapLength < 0 ? to : start + gapLength)), coverage.NextGap((uint)from, (uint)to));
    }
}
