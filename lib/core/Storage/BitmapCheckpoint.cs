using System.Buffers.Binary;

namespace KvFs.Core;

/// <summary>The content of <c>drives/&lt;RUID&gt;/.bitmap</c>: the allocator as an orderly close left it.</summary>
/// <remarks>
/// Layout, little-endian: 0-7: magic "KVFSBMAP"; 8-11: format version 1; 12-15: chunks; 16-31: RUID, big-endian; 32-39:
/// generation; then per chunk a byte (0 all free, 1 all used, 2 mixed: 512 bytes of bits follow, set when used, the
/// first unit lowest); last 4 bytes: CRC-32C of all before. It is believed only if its generation is the one that the
/// drive's record in <c>sys</c> has, which every opening raises: after an unclean stop it never is. Source:
/// docs/format.md#bitmap.
/// </remarks>
public static class BitmapCheckpoint
{
    public const uint FormatVersion = 1;

    private const int HeaderBytes = 40;
    private const byte AllFree = 0;
    private const byte AllUsed = 1;
    private const byte Mixed = 2;

    private static ReadOnlySpan<byte> Magic => "KVFSBMAP"u8;

    /// <summary>Writes the allocator into <paramref name="target"/>, replacing its content.</summary>
    public static void Write(DriveId drive, ulong generation, BuddyAllocator allocator, ByteBuffer target)
    {
        target.Clear();
        Span<byte> header = target.Extend(HeaderBytes);
        Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], FormatVersion);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], allocator.ChunkCount);
        drive.Write(header[16..]);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], generation);
        Span<ulong> used = stackalloc ulong[ChunkMap.Words];
        for (int chunk = 0; chunk < allocator.ChunkCount; chunk++)
        {
            allocator.CopyChunk(chunk, used);
            if (!used.ContainsAnyExcept(0UL)) { target.Append(AllFree); }
            else if (!used.ContainsAnyExcept(ulong.MaxValue)) { target.Append(AllUsed); }
            else { AppendMap(used, target); }
        }

        uint checksum = Crc32C.Compute(target.Span);
        BinaryPrimitives.WriteUInt32LittleEndian(target.Extend(sizeof(uint)), checksum);
    }

    /// <summary>Reads one: Corrupt if it is damaged, truncated, none of ours or another drive's; NotSupported if a newer
    /// version wrote it. Either way the caller rebuilds from the index.</summary>
    public static Status Read(
        ReadOnlySpan<byte> source, DriveId drive, out ulong generation, out BuddyAllocator allocator)
    {
        generation = 0;
        allocator = new BuddyAllocator();
        if (source.Length < HeaderBytes + sizeof(uint) || !source.StartsWith(Magic)) { return Status.Corrupt; }
        ReadOnlySpan<byte> content = source[..^sizeof(uint)];
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[^sizeof(uint)..]) != Crc32C.Compute(content))
        {
            return Status.Corrupt;
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(source[8..]) != FormatVersion) { return Status.NotSupported; }
        if (DriveId.Read(source[16..]) != drive) { return Status.Corrupt; }
        generation = BinaryPrimitives.ReadUInt64LittleEndian(source[32..]);
        uint chunks = BinaryPrimitives.ReadUInt32LittleEndian(source[12..]);
        return ReadChunks(content[HeaderBytes..], chunks, allocator) ? Status.Ok : Status.Corrupt;
    }

    private static void AppendMap(ReadOnlySpan<ulong> used, ByteBuffer target)
    {
        target.Append(Mixed);
        Span<byte> room = target.Extend(ChunkMap.Words * sizeof(ulong));
        for (int word = 0; word < used.Length; word++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(room[(word * sizeof(ulong))..], used[word]);
        }
    }

    private static bool ReadChunks(ReadOnlySpan<byte> rest, uint chunks, BuddyAllocator allocator)
    {
        Span<ulong> used = stackalloc ulong[ChunkMap.Words];
        for (uint chunk = 0; chunk < chunks; chunk++)
        {
            if (rest.IsEmpty) { return false; }
            byte kind = rest[0];
            rest = rest[1..];
            switch (kind)
            {
                case AllFree:
                    used.Clear();
                    break;
                case AllUsed:
                    used.Fill(ulong.MaxValue);
                    break;
                case Mixed when rest.Length >= ChunkMap.Words * sizeof(ulong):
                    for (int word = 0; word < used.Length; word++)
                    {
                        used[word] = BinaryPrimitives.ReadUInt64LittleEndian(rest[(word * sizeof(ulong))..]);
                    }

                    rest = rest[(ChunkMap.Words * sizeof(ulong))..];
                    break;
                default:
                    return false;
            }

            if (!allocator.TryAddChunk(used)) { return false; }
        }

        return rest.IsEmpty;
    }
}
