namespace KvFs.Core.Tests.Primitives;

public class XxHash64Tests
{
    [Fact]
    public void The_published_values_for_seed_zero_hold()
    {
        Assert.Equal(0xEF46DB3751D8E999ul, XxHash64.Compute([]));
        Assert.Equal(0xD24EC4F1A98C6E5Bul, XxHash64.Compute("a"u8));
        Assert.Equal(0x44BC2CF5AD770999ul, XxHash64.Compute("abc"u8));
    }

    [Fact]
    public void Every_length_through_all_branches_differs_from_the_others()
    {
        byte[] bytes = [.. Enumerable.Range(0, 200).Select(static i => (byte)i)];
        HashSet<ulong> seen = [];
        for (int length = 0; length <= bytes.Length; length++) { seen.Add(XxHash64.Compute(bytes.AsSpan(0, length))); }
        Assert.Equal(bytes.Length + 1, seen.Count);
    }
}
