namespace KvFs.Core;

/// <summary>A run of bytes that grows and is used again and again, so that hot paths allocate nothing.</summary>
/// <remarks>Not thread safe; whoever holds it owns it.</remarks>
public sealed class ByteBuffer(int capacity = 256)
{
    private byte[] bytes = new byte[capacity];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Span => bytes.AsSpan(0, Length);

    public ReadOnlyMemory<byte> Memory => bytes.AsMemory(0, Length);

    public void Clear() => Length = 0;

    /// <summary>Replaces the content.</summary>
    public void Set(ReadOnlySpan<byte> content)
    {
        Length = 0;
        content.CopyTo(Extend(content.Length));
    }

    public void Append(ReadOnlySpan<byte> content) => content.CopyTo(Extend(content.Length));

    public void Append(byte value) => Extend(1)[0] = value;

    /// <summary>Adds room for <paramref name="count"/> bytes at the end and lends it; its content is undefined.</summary>
    public Span<byte> Extend(int count)
    {
        int needed = checked(Length + count);
        if (needed > bytes.Length) { Array.Resize(ref bytes, Math.Max(needed, bytes.Length * 2)); }
        Span<byte> room = bytes.AsSpan(Length, count);
        Length = needed;
        return room;
    }

    /// <summary>Lends the whole content for change in place.</summary>
    public Span<byte> Writable() => bytes.AsSpan(0, Length);

    /// <summary>Cuts the content to its first <paramref name="length"/> bytes.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)Length, nameof(length));
        Length = length;
    }
}
