namespace KvFs.Core.Tests.Primitives;

public class ByteBufferTests
{
    [Fact]
    public void Content_stays_while_the_buffer_grows()
    {
        ByteBuffer buffer = new(1);
        for (int i = 0; i < 1000; i++) { buffer.Append((byte)i); }
        Assert.Equal(1000, buffer.Length);
        Assert.Equal([.. Enumerable.Range(0, 1000).Select(static i => (byte)i)], buffer.Span.ToArray());
    }

    [Fact]
    public void Set_replaces_and_truncate_cuts()
    {
        ByteBuffer buffer = new();
        buffer.Set("hello"u8);
        buffer.Set("abc"u8);
        buffer.Truncate(2);
        Assert.Equal("ab"u8.ToArray(), buffer.Memory.ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Truncate(3));
        buffer.Clear();
        Assert.Equal(0, buffer.Length);
    }
}
