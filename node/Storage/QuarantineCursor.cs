using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>A walk over what is kept of a drive's bad blocks, as of the moment it was opened.</summary>
/// <remarks>Not thread safe.</remarks>
internal sealed class QuarantineCursor : IDisposable
{
    private readonly IRecordCursor records;

    internal QuarantineCursor(IKeyValueReader source, DriveId drive)
    {
        Span<byte> from = stackalloc byte[QuarantineRecord.PrefixSize];
        Span<byte> to = stackalloc byte[QuarantineRecord.PrefixSize];
        QuarantineRecord.WritePrefix(drive, from);
        QuarantineRecord.WriteEnd(drive, to);
        records = source.OpenCursor(Family.Block, from, to);
    }

    /// <summary>Lent until the next move.</summary>
    internal ReadOnlySpan<byte> Key => records.Key;

    internal BlockName Block { get; private set; }

    /// <summary>The record, or null if it cannot be read: <see cref="Status"/> says why.</summary>
    internal QuarantineRecord? Record { get; private set; }

    /// <summary>Ok, Corrupt or NotSupported.</summary>
    internal Status Status { get; private set; }

    /// <summary>Moves to the next one; false at the end.</summary>
    /// <exception cref="StorageException">The disk cannot give them back.</exception>
    internal bool MoveNext()
    {
        if (!records.MoveNext()) { return false; }
        Record = null;
        Status = Status.Corrupt;
        if (QuarantineRecord.TryReadKey(records.Key, out BlockName block))
        {
            Status = QuarantineRecord.Read(records.Value, out QuarantineRecord? record);
            Record = record;
        }

        Block = block;
        return true;
    }

    public void Dispose() => records.Dispose();
}
