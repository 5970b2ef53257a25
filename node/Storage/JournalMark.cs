using System.Buffers.Binary;
using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>What the tables know of the journal; written in one with the changes of every record.</summary>
/// <remarks>21 bytes: 0: version 1; 1-8: number; 9-16: journal; 17-20: CRC-32C of all before; little-endian. Source:
/// docs/format.md#journal.</remarks>
/// <param name="Number">The last record whose changes the tables have.</param>
/// <param name="Journal">A number drawn when the journal was made: segments of another one are not taken for its own.</param>
public readonly record struct JournalMark(ulong Number, ulong Journal)
{
    /// <summary>Bytes of a mark.</summary>
    public const int Size = 21;

    private const byte Version = 1;
    private const int ChecksumAt = Size - sizeof(uint);

    public void Write(Span<byte> target)
    {
        target[0] = Version;
        BinaryPrimitives.WriteUInt64LittleEndian(target[1..], Number);
        BinaryPrimitives.WriteUInt64LittleEndian(target[9..], Journal);
        BinaryPrimitives.WriteUInt32LittleEndian(target[ChecksumAt..], Crc32C.Compute(target[..ChecksumAt]));
    }

    /// <summary>Ok; NotSupported: a newer program wrote it; Corrupt.</summary>
    public static Status Read(ReadOnlySpan<byte> source, out JournalMark mark)
    {
        mark = default;
        if (!source.IsEmpty && source[0] > Version) { return Status.NotSupported; }
        if (source.Length != Size || source[0] != Version
            || BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumAt..]) != Crc32C.Compute(source[..ChecksumAt]))
        {
            return Status.Corrupt;
        }

        mark = new(
            BinaryPrimitives.ReadUInt64LittleEndian(source[1..]), BinaryPrimitives.ReadUInt64LittleEndian(source[9..]));
        return Status.Ok;
    }
}
