using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>A walk over the indexed blocks of a drive, in the order of their ids, as of the moment it was opened.</summary>
/// <remarks>Not thread safe. Pending blocks are not in it.</remarks>
public sealed class BlockCursor : IDisposable
{
    private readonly IRecordCursor records;

    internal BlockCursor(IKeyValueReader source, DriveId drive, BlockId from = default)
    {
        Span<byte> first = stackalloc byte[BlockKey.Size];
        Span<byte> to = stackalloc byte[BlockKey.PrefixSize];
        BlockKey.Write(new(drive, from), first);
        BlockKey.WriteEnd(drive, to);
        records = source.OpenCursor(Family.Block, first, to);
    }

    public BlockName Name { get; private set; }

    /// <summary>The entry, or null if it cannot be read: <see cref="Status"/> says why.</summary>
    public BlockIndexEntry? Entry { get; private set; }

    /// <summary>Ok, Corrupt or NotSupported.</summary>
    public Status Status { get; private set; }

    /// <summary>Moves to the next block; false at the end.</summary>
    /// <exception cref="StorageException">The disk cannot give the index back.</exception>
    public bool MoveNext()
    {
        if (!records.MoveNext()) { return false; }
        Entry = null;
        if (BlockKey.TryRead(records.Key, out BlockName name))
        {
            Status = BlockIndexEntry.Read(records.Value, out BlockIndexEntry? entry);
            Entry = entry;
        }
        else
        {
            Status = Status.Corrupt;
        }

        Name = name;
        return true;
    }

    public void Dispose() => records.Dispose();
}
