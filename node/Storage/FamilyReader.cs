using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>One family of a store or snapshot as the pure core reads it.</summary>
public sealed class FamilyReader(IKeyValueReader source, Family family) : IRecordReader
{
    public bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value) => source.TryGet(family, key, value);

    public IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        source.OpenCursor(family, from, to);
}

/// <summary>Lends families of a store or snapshot to the pure core.</summary>
public static class KeyValueReaderExtensions
{
    /// <summary>The family as an <see cref="IRecordReader"/>. Make it once and keep it: it is an object.</summary>
    public static FamilyReader Reader(this IKeyValueReader source, Family family) => new(source, family);
}
