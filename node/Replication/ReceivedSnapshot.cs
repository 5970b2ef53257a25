using KvFs.Core;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>Parts of a shard's snapshot, as they come on one stream: kept in a file until they are whole.</summary>
/// <remarks>Not thread safe. Layout of the file, which has no name: per part its length (4 bytes, little-endian), then the part.
/// </remarks>
internal sealed class ReceivedSnapshot : IDisposable
{
    private readonly FileStream file;
    private uint next;

    public ReceivedSnapshot(string folder, ShardSnapshot message)
    {
        Message = message;
        string path = Path.Combine(folder, $"kvfs-snapshot-{Guid.NewGuid():n}");
        file = new(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 1 << 16);

        // Whatever ends this process, the space comes back.
        File.Delete(path);
    }

    public ShardSnapshot Message { get; }

    /// <summary>Takes the next part. False: it is not the next one.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public bool TryAdd(V1.SnapshotPart part)
    {
        if (part.Number != next) { return false; }
        ReadOnlySpan<byte> records = part.Records.Span;
        if (Crc32C.Compute(records) != part.Crc32C) { throw new InvalidDataException($"part {part.Number} of a snapshot is damaged"); }
        Span<byte> length = stackalloc byte[sizeof(int)];
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(length, records.Length);
        file.Write(length);
        file.Write(records);
        next++;
        return true;
    }

    /// <summary>The parts, in order.</summary>
    public IEnumerable<ReadOnlyMemory<byte>> Parts()
    {
        file.Position = 0;
        byte[] length = new byte[sizeof(int)];
        while (file.ReadAtLeast(length, length.Length, throwOnEndOfStream: false) == length.Length)
        {
            byte[] part = new byte[System.Buffers.Binary.BinaryPrimitives.ReadInt32LittleEndian(length)];
            file.ReadExactly(part);
            yield return part;
        }
    }

    public void Dispose() => file.Dispose();
}
