using System.Buffers.Binary;
using System.Globalization;

namespace KvFs.Core;

/// <summary>The identity of a node's disk: drawn when its data folder is made, and never again.</summary>
public readonly record struct DiskId(UInt128 Value)
{
    /// <summary>Length of the binary form, in bytes.</summary>
    public const int Size = 16;

    public static DiskId Read(ReadOnlySpan<byte> source) => new(BinaryPrimitives.ReadUInt128BigEndian(source));

    /// <summary>Writes 16 big-endian bytes.</summary>
    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt128BigEndian(destination, Value);

    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}
