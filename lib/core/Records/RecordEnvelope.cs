using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>What every value in the <c>ns</c> family wears around its payload.</summary>
/// <remarks>Layout: 0: record version 1; 1: flags (bit 0: whiteout); 2-9: CoW number that wrote it, big-endian; 10 on:
/// payload; last 4 bytes: CRC-32C of all before, little-endian. Source: docs/format.md#records.</remarks>
public static class RecordEnvelope
{
    public const byte RecordVersion = 1;

    /// <summary>Bytes around the payload.</summary>
    public const int Overhead = HeaderBytes + TrailerBytes;

    /// <summary>Bytes behind the payload.</summary>
    public const int TrailerBytes = 4;

    private const int HeaderBytes = 10;
    private const byte WhiteoutFlag = 1;

    /// <summary>Writes an envelope around a payload into <paramref name="value"/>, replacing its content.</summary>
    public static void Write(CowNumber written, bool whiteout, ReadOnlySpan<byte> payload, ByteBuffer value)
    {
        value.Clear();
        Span<byte> bytes = value.Extend(payload.Length + Overhead);
        bytes[0] = RecordVersion;
        bytes[1] = whiteout ? WhiteoutFlag : (byte)0;
        BinaryPrimitives.WriteUInt64BigEndian(bytes[2..], written.Value);
        payload.CopyTo(bytes[HeaderBytes..]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[^TrailerBytes..], Crc32C.Compute(bytes[..^TrailerBytes]));
    }

    /// <summary>Opens an envelope: <see cref="Status.Ok"/>, <see cref="Status.Corrupt"/> if the checksum or shape is
    /// wrong, <see cref="Status.NotSupported"/> if a newer version wrote it.</summary>
    public static Status Read(ReadOnlySpan<byte> value, out RecordHeader header, out ReadOnlySpan<byte> payload)
    {
        header = default;
        payload = default;
        if (value.Length < Overhead) { return Status.Corrupt; }
        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(value[^TrailerBytes..]);
        if (Crc32C.Compute(value[..^TrailerBytes]) != stored) { return Status.Corrupt; }
        if (value[0] != RecordVersion || (value[1] & ~WhiteoutFlag) != 0) { return Status.NotSupported; }
        header = new(new(BinaryPrimitives.ReadUInt64BigEndian(value[2..])), (value[1] & WhiteoutFlag) != 0);
        payload = value[HeaderBytes..^TrailerBytes];
        return Status.Ok;
    }
}

/// <summary>The envelope's own facts.</summary>
/// <param name="Written">The CoW number of the transaction that wrote the record; 0 for plain records.</param>
/// <param name="Whiteout">The record says "deleted in this clone", whatever the origin has.</param>
public readonly record struct RecordHeader(CowNumber Written, bool Whiteout);

/// <summary>A stored record cannot be used: its bytes are damaged, or a newer version wrote them.</summary>
/// <remarks>Not an outcome that a caller can plan for: the driver catches it, answers <see cref="Status"/>, and counts
/// it.</remarks>
public sealed class RecordCorruptException : Exception
{
    public RecordCorruptException()
    {
    }

    public RecordCorruptException(string message)
        : base(message)
    {
    }

    public RecordCorruptException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public RecordCorruptException(Status status, ReadOnlySpan<byte> key)
        : base($"Record {Convert.ToHexStringLower(key)} cannot be read: {status}")
    {
        Status = status;
    }

    /// <summary><see cref="Status.Corrupt"/> or <see cref="Status.NotSupported"/>.</summary>
    public Status Status { get; } = Status.Corrupt;
}
