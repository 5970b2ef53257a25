using System.Buffers.Binary;
using System.Globalization;

namespace KvFs.Core;

/// <summary>The identity of a pool: drawn when it is founded, and never again. 0 is "none".</summary>
public readonly record struct PoolId(UInt128 Value)
{
    /// <summary>Length of the binary form, in bytes.</summary>
    public const int Size = 16;

    public static PoolId Read(ReadOnlySpan<byte> source) => new(BinaryPrimitives.ReadUInt128BigEndian(source));

    /// <summary>Writes 16 big-endian bytes.</summary>
    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt128BigEndian(destination, Value);

    /// <summary>32 lower-case hexadecimal digits.</summary>
    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}

/// <summary>One life of a node's process: greater with each start on the same disk. 0 is "none".</summary>
/// <remarks>The upper 64 bits: how often the disk was started from; the lower ones: drawn at the start.</remarks>
public readonly record struct BootId(UInt128 Value) : IComparable<BootId>
{
    /// <summary>Length of the binary form, in bytes.</summary>
    public const int Size = 16;

    public static BootId Read(ReadOnlySpan<byte> source) => new(BinaryPrimitives.ReadUInt128BigEndian(source));

    /// <summary>Writes 16 big-endian bytes.</summary>
    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt128BigEndian(destination, Value);

    public int CompareTo(BootId other) => Value.CompareTo(other.Value);

    public static bool operator <(BootId left, BootId right) => left.Value < right.Value;

    public static bool operator >(BootId left, BootId right) => left.Value > right.Value;

    public static bool operator <=(BootId left, BootId right) => left.Value <= right.Value;

    public static bool operator >=(BootId left, BootId right) => left.Value >= right.Value;

    /// <summary>32 lower-case hexadecimal digits.</summary>
    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}
