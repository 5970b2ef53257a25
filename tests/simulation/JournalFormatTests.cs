using System.Buffers.Binary;
using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Simulation;

/// <summary>Bytes of a journal that anybody may have changed.</summary>
public sealed class JournalFormatTests
{
    private const ulong Salt = 0x1122334455667788;

    [Fact]
    public void A_record_and_a_header_are_read_as_they_were_written()
    {
        byte[] bytes = new byte[JournalFormat.SizeOf(5)];
        JournalFormat.WriteRecord(bytes, Salt, new(5, 2, 77, 70), "hello"u8);
        Assert.Equal(40, bytes.Length);
        Assert.True(JournalFormat.TryReadRecord(bytes, Salt, out JournalRecord record, out ReadOnlySpan<byte> payload));
        Assert.Equal(new JournalRecord(5, 2, 77, 70), record);
        Assert.Equal("hello"u8.ToArray(), payload.ToArray());
        Assert.False(JournalFormat.TryReadRecord(bytes, Salt + 1, out _, out _));

        byte[] page = new byte[JournalFormat.HeaderBytes];
        SegmentHeader header = new(4 << 20, 3, Salt, 9);
        JournalFormat.WriteHeader(page, header);
        Assert.Equal(Status.Ok, JournalFormat.ReadHeader(page, out SegmentHeader read));
        Assert.Equal(header, read);
    }

    [Fact]
    public void A_header_of_a_newer_version_is_told_from_a_damaged_one()
    {
        byte[] page = new byte[JournalFormat.HeaderBytes];
        JournalFormat.WriteHeader(page, new(4 << 20, 3, Salt, 9));
        page[8] = 2;
        Assert.Equal(Status.Corrupt, JournalFormat.ReadHeader(page, out _));
        BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(60), Crc32C.Compute(page.AsSpan(0, 60)));
        Assert.Equal(Status.NotSupported, JournalFormat.ReadHeader(page, out _));
        Assert.Equal(Status.Corrupt, JournalFormat.ReadHeader(page.AsSpan(0, 63), out _));
        Assert.Equal(Status.Corrupt, JournalFormat.ReadHeader([], out _));
    }

    [Fact]
    public void Every_flipped_bit_of_a_record_a_header_and_a_mark_is_seen()
    {
        byte[] record = new byte[JournalFormat.SizeOf(8)];
        JournalFormat.WriteRecord(record, Salt, new(8, 1, 3, 2), "8 bytes."u8);
        byte[] header = new byte[JournalFormat.HeaderBytes];
        JournalFormat.WriteHeader(header, new(4 << 20, 3, Salt, 9));
        byte[] mark = new byte[JournalMark.Size];
        new JournalMark(5, 9).Write(mark);
        Assert.Equal(Status.Ok, JournalMark.Read(mark, out JournalMark read));
        Assert.Equal(new JournalMark(5, 9), read);
        foreach (byte[] bytes in (byte[][])[record, header, mark])
        {
            for (int bit = 0; bit < bytes.Length * 8; bit++)
            {
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
                bool isBelieved = bytes == record ? JournalFormat.TryReadRecord(bytes, Salt, out _, out _)
                    : bytes == header ? JournalFormat.ReadHeader(bytes, out _) == Status.Ok
                    : JournalMark.Read(bytes, out _) == Status.Ok;
                Assert.False(isBelieved);
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        }
    }

    [Fact]
    public void Garbage_is_never_read_beyond_its_end()
    {
        Random random = new(3);
        KeyValueBatch batch = new();
        for (int round = 0; round < 200_000; round++)
        {
            byte[] bytes = new byte[random.Next(80)];
            random.NextBytes(bytes);
            if (bytes.Length >= 32 && random.Next(2) == 0)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(28), 0x4345524A);
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), random.Next(4) == 0 ? random.Next() : random.Next(60));
            }

            Assert.False(JournalFormat.TryReadRecord(bytes, Salt, out _, out _));
            if (bytes.Length > 1 && random.Next(2) == 0)
            {
                bytes[0] = (byte)random.Next(1, 4);
                bytes[1] = (byte)random.Next(4);
                if (bytes.Length >= 10) { BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(2), random.Next(40)); }
            }

            // Whatever is accepted can be walked to its end.
            if (!batch.TrySet(bytes, random.Next(3))) { continue; }
            foreach (KeyValueBatch.Change change in batch) { Assert.True(change.Key.Length + change.Value.Length < 80); }
        }
    }
}
