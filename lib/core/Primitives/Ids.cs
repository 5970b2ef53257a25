using System.Buffers.Binary;
using System.Globalization;

namespace KvFs.Core;

/// <summary>The identity of a drive (its RUID): a UUIDv7 that KvFs chose. Never reused.</summary>
public readonly record struct DriveId(UInt128 Value) : IComparable<DriveId>
{
    /// <summary>Length of the binary form, in bytes.</summary>
    public const int Size = 16;

    /// <summary>Reads the 16 big-endian bytes of a RUID.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The span is shorter than 16 bytes.</exception>
    public static DriveId Read(ReadOnlySpan<byte> source) => new(BinaryPrimitives.ReadUInt128BigEndian(source));

    /// <summary>Writes the RUID as 16 big-endian bytes, so that byte order is numeric order.</summary>
    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt128BigEndian(destination, Value);

    /// <summary>Accepts the 36-character text form of a UUID, in either case.</summary>
    public static bool TryParse(string? text, out DriveId id)
    {
        id = default;
        if (!Guid.TryParseExact(text, "D", out Guid guid)) { return false; }
        Span<byte> bytes = stackalloc byte[Size];
        guid.TryWriteBytes(bytes, bigEndian: true, out _);
        id = Read(bytes);
        return true;
    }

    public int CompareTo(DriveId other) => Value.CompareTo(other.Value);

    public static bool operator <(DriveId left, DriveId right) => left.Value < right.Value;

    public static bool operator >(DriveId left, DriveId right) => left.Value > right.Value;

    public static bool operator <=(DriveId left, DriveId right) => left.Value <= right.Value;

    public static bool operator >=(DriveId left, DriveId right) => left.Value >= right.Value;

    /// <summary>The 36-character lower-case text form, as in <c>drives/&lt;RUID&gt;</c>.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Size];
        Write(bytes);
        return new Guid(bytes, bigEndian: true).ToString("D", CultureInfo.InvariantCulture);
    }
}

/// <summary>The identity of a VNode: unique in its drive, never reused. 0 is "none"; the root is 1.</summary>
public readonly record struct VNodeId(ulong Value) : IComparable<VNodeId>
{
    public static readonly VNodeId None;

    public static readonly VNodeId Root = new(1);

    public int CompareTo(VNodeId other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool operator <(VNodeId left, VNodeId right) => left.Value < right.Value;

    public static bool operator >(VNodeId left, VNodeId right) => left.Value > right.Value;

    public static bool operator <=(VNodeId left, VNodeId right) => left.Value <= right.Value;

    public static bool operator >=(VNodeId left, VNodeId right) => left.Value >= right.Value;
}

/// <summary>A drive's version: rises with every committed transaction, not necessarily by one. 0 is "before all".</summary>
public readonly record struct CowNumber(ulong Value) : IComparable<CowNumber>
{
    /// <summary>Stands for "now" where a version to read at is asked for.</summary>
    public static readonly CowNumber Head = new(ulong.MaxValue);

    public int CompareTo(CowNumber other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool operator <(CowNumber left, CowNumber right) => left.Value < right.Value;

    public static bool operator >(CowNumber left, CowNumber right) => left.Value > right.Value;

    public static bool operator <=(CowNumber left, CowNumber right) => left.Value <= right.Value;

    public static bool operator >=(CowNumber left, CowNumber right) => left.Value >= right.Value;
}

/// <summary>The number of a block within the drive that owns it. Never reissued.</summary>
public readonly record struct BlockId(ulong Value)
{
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The full name of a block: the drive that made it, and its number there. A clone's slices name its origin.</summary>
public readonly record struct BlockName(DriveId Owner, BlockId Id)
{
    public override string ToString() => $"{Owner}/{Id}";
}

/// <summary>A placement unit of the pool.</summary>
public readonly record struct ShardId(ushort Value) : IComparable<ShardId>
{
    public int CompareTo(ShardId other) => Value.CompareTo(other.Value);

    public static bool operator <(ShardId left, ShardId right) => left.Value < right.Value;

    public static bool operator >(ShardId left, ShardId right) => left.Value > right.Value;

    public static bool operator <=(ShardId left, ShardId right) => left.Value <= right.Value;

    public static bool operator >=(ShardId left, ShardId right) => left.Value >= right.Value;

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The reign of a shard's primary. Every change of a shard's entry in the pool map raises it.</summary>
public readonly record struct Epoch(ulong Value) : IComparable<Epoch>
{
    public int CompareTo(Epoch other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool operator <(Epoch left, Epoch right) => left.Value < right.Value;

    public static bool operator >(Epoch left, Epoch right) => left.Value > right.Value;

    public static bool operator <=(Epoch left, Epoch right) => left.Value <= right.Value;

    public static bool operator >=(Epoch left, Epoch right) => left.Value >= right.Value;
}

/// <summary>The place of an entry in a shard's log. The first entry is 1; 0 is "nothing yet".</summary>
public readonly record struct LogIndex(ulong Value) : IComparable<LogIndex>
{
    public LogIndex Next => new(Value + 1);

    public int CompareTo(LogIndex other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool operator <(LogIndex left, LogIndex right) => left.Value < right.Value;

    public static bool operator >(LogIndex left, LogIndex right) => left.Value > right.Value;

    public static bool operator <=(LogIndex left, LogIndex right) => left.Value <= right.Value;

    public static bool operator >=(LogIndex left, LogIndex right) => left.Value >= right.Value;
}

/// <summary>A client's session with a drive. 0 is "none".</summary>
public readonly record struct SessionId(ulong Value)
{
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A point in time: nanoseconds since 1970-01-01 UTC (years 1677 to 2262).</summary>
public readonly record struct Timestamp(long Nanoseconds) : IComparable<Timestamp>
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>Whole seconds, rounded down, so that <see cref="SubsecondNanoseconds"/> is never negative.</summary>
    public long Seconds => Math.DivRem(Nanoseconds, NanosecondsPerSecond) is var (quotient, remainder) && remainder < 0
        ? quotient - 1
        : quotient;

    public uint SubsecondNanoseconds => (uint)(Nanoseconds - (Seconds * NanosecondsPerSecond));

    /// <summary>Builds a time from the parts of a <c>timespec</c>; what does not fit is clamped, as ext4 does.</summary>
    public static Timestamp FromParts(long seconds, uint nanoseconds)
    {
        Int128 total = ((Int128)seconds * NanosecondsPerSecond) + nanoseconds;
        return new((long)Int128.Clamp(total, long.MinValue, long.MaxValue));
    }

    /// <summary>What a clock shows; its steps are 100 ns.</summary>
    public static Timestamp At(DateTimeOffset clock) =>
        new((clock - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick);

    public int CompareTo(Timestamp other) => Nanoseconds.CompareTo(other.Nanoseconds);

    public static bool operator <(Timestamp left, Timestamp right) => left.Nanoseconds < right.Nanoseconds;

    public static bool operator >(Timestamp left, Timestamp right) => left.Nanoseconds > right.Nanoseconds;

    public static bool operator <=(Timestamp left, Timestamp right) => left.Nanoseconds <= right.Nanoseconds;

    public static bool operator >=(Timestamp left, Timestamp right) => left.Nanoseconds >= right.Nanoseconds;
}
