using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What the first and the last page of a segment say.</summary>
/// <param name="Bytes">Of the whole file.</param>
/// <param name="Sequence">Orders segments; a segment that is used again gets a new one.</param>
/// <param name="Salt">Goes into the checksum of every record: what an earlier use left, or somebody wrote into a file of a
/// drive, is none of this segment's.</param>
/// <param name="Journal">Whose it is: the same as in <see cref="JournalMark"/>.</param>
internal readonly record struct SegmentHeader(int Bytes, ulong Sequence, ulong Salt, ulong Journal);

/// <summary>What stands before the changes of a record.</summary>
/// <param name="PayloadBytes">Bytes of the changes.</param>
/// <param name="Changes">How many there are; 0: the record was withdrawn.</param>
/// <param name="Number">One more than that of the record before, within one run of the program.</param>
/// <param name="Durable">Up to which number everything was on disk, when this was written.</param>
internal readonly record struct JournalRecord(int PayloadBytes, int Changes, ulong Number, ulong Durable);

/// <summary>The bytes of a segment of the journal: pure.</summary>
/// <remarks>
/// Header, 64 bytes, at the begin of the first and of the last page (4,096 bytes): 0-7: magic; 8-11: format version; 12-15:
/// bytes of the file; 16-23: sequence; 24-31: salt; 32-39: journal; 40-59: zero; 60-63: CRC-32C of all before. Between them,
/// from 4,096 on, at multiples of 8: records. 0-3: CRC-32C of the salt and of all from byte 4 on; 4-7: length of the payload;
/// 8-15: number; 16-23: durable; 24-27: changes; 28-31: magic; then the payload: a <see cref="KeyValueBatch"/> as it is in
/// memory. All little-endian. Source: docs/format.md#journal.
/// </remarks>
internal static class JournalFormat
{
    /// <summary>Bytes of a header's page, and of what is written at once so that no page is read before it is.</summary>
    internal const int PageBytes = 4096;

    internal const int HeaderBytes = 64;

    internal const int RecordHeaderBytes = 32;

    /// <summary>Records begin at multiples of it, so that they can be found behind one that is not whole.</summary>
    internal const int Alignment = 8;

    private const uint Version = 1;
    private const int ChecksumAt = HeaderBytes - sizeof(uint);
    private const uint RecordMagic = 0x4345524A; // "JREC"

    private static ReadOnlySpan<byte> Magic => "KVFSJRNL"u8;

    /// <summary>Bytes that a record takes with so much payload.</summary>
    internal static int SizeOf(int payloadBytes) =>
        checked(RecordHeaderBytes + payloadBytes + Alignment - 1) & ~(Alignment - 1);

    /// <summary>Bytes of the smallest segment that has room for one record.</summary>
    internal static int SegmentBytesFor(int payloadBytes) =>
        checked((2 * PageBytes) + SizeOf(payloadBytes) + PageBytes - 1) & ~(PageBytes - 1);

    /// <summary>Writes a header into the first 64 bytes.</summary>
    internal static void WriteHeader(Span<byte> target, in SegmentHeader header)
    {
        target = target[..HeaderBytes];
        target.Clear();
        Magic.CopyTo(target);
        BinaryPrimitives.WriteUInt32LittleEndian(target[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(target[12..], header.Bytes);
        BinaryPrimitives.WriteUInt64LittleEndian(target[16..], header.Sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(target[24..], header.Salt);
        BinaryPrimitives.WriteUInt64LittleEndian(target[32..], header.Journal);
        BinaryPrimitives.WriteUInt32LittleEndian(target[ChecksumAt..], Crc32C.Compute(target[..ChecksumAt]));
    }

    /// <summary>Ok; NotSupported: a newer program wrote it; Corrupt: it is none, or damaged.</summary>
    internal static Status ReadHeader(ReadOnlySpan<byte> source, out SegmentHeader header)
    {
        header = default;
        if (source.Length < HeaderBytes || !source.StartsWith(Magic)) { return Status.Corrupt; }
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumAt..]) != Crc32C.Compute(source[..ChecksumAt]))
        {
            return Status.Corrupt;
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(source[8..]) != Version) { return Status.NotSupported; }
        header = new(
            BinaryPrimitives.ReadInt32LittleEndian(source[12..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[32..]));
        return Status.Ok;
    }

    /// <summary>Writes a record.</summary>
    /// <param name="target">Gets <see cref="SizeOf"/> bytes.</param>
    /// <param name="salt">Of the segment.</param>
    /// <param name="record">Its header.</param>
    /// <param name="payload">Of the length that the header says.</param>
    internal static void WriteRecord(Span<byte> target, ulong salt, in JournalRecord record, ReadOnlySpan<byte> payload)
    {
        Span<byte> all = target[..(RecordHeaderBytes + payload.Length)];
        BinaryPrimitives.WriteInt32LittleEndian(all[4..], record.PayloadBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(all[8..], record.Number);
        BinaryPrimitives.WriteUInt64LittleEndian(all[16..], record.Durable);
        BinaryPrimitives.WriteInt32LittleEndian(all[24..], record.Changes);
        BinaryPrimitives.WriteUInt32LittleEndian(all[28..], RecordMagic);
        payload.CopyTo(all[RecordHeaderBytes..]);
        BinaryPrimitives.WriteUInt32LittleEndian(all, Checksum(salt, all[4..]));
        target[all.Length..SizeOf(payload.Length)].Clear();
    }

    /// <summary>Reads the record at the begin of some bytes; false: there is none that is whole and of this segment.</summary>
    /// <param name="bytes">What is left of the segment.</param>
    /// <param name="salt">Of the segment.</param>
    /// <param name="record">Its header.</param>
    /// <param name="payload">Lent from the bytes.</param>
    internal static bool TryReadRecord(
        ReadOnlySpan<byte> bytes, ulong salt, out JournalRecord record, out ReadOnlySpan<byte> payload)
    {
        record = default;
        payload = default;
        if (bytes.Length < RecordHeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(bytes[28..]) != RecordMagic)
        {
            return false;
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]);
        if (length < 0 || length > bytes.Length - RecordHeaderBytes) { return false; }
        ReadOnlySpan<byte> all = bytes[..(RecordHeaderBytes + length)];
        if (BinaryPrimitives.ReadUInt32LittleEndian(all) != Checksum(salt, all[4..])) { return false; }
        payload = all[RecordHeaderBytes..];
        record = new(
            length,
            BinaryPrimitives.ReadInt32LittleEndian(all[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(all[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(all[16..]));
        return true;
    }

    private static uint Checksum(ulong salt, ReadOnlySpan<byte> bytes)
    {
        Span<byte> seed = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(seed, salt);
        return Crc32C.Append(Crc32C.Compute(seed), bytes);
    }
}
