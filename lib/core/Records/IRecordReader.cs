namespace KvFs.Core;

/// <summary>What a decision may read: an ordered map from keys to values, at one moment.</summary>
/// <remarks>Keys order by their bytes. The driver supplies it: RocksDB at the applied index, a snapshot of that, or a
/// simulated map. Not thread safe.</remarks>
public interface IRecordReader
{
    /// <summary>Copies the value of a key into <paramref name="value"/>, or returns false and leaves it empty.</summary>
    bool TryGet(ReadOnlySpan<byte> key, ByteBuffer value);

    /// <summary>Walks the keys of [<paramref name="from"/>, <paramref name="to"/>) upwards.</summary>
    IRecordCursor OpenCursor(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to);
}

/// <summary>A walk over records in key order. Starts before the first one.</summary>
public interface IRecordCursor : IDisposable
{
    /// <summary>Moves to the next record; false at the end.</summary>
    bool MoveNext();

    /// <summary>The key. Valid until the next move.</summary>
    ReadOnlySpan<byte> Key { get; }

    /// <summary>The value. Valid until the next move.</summary>
    ReadOnlySpan<byte> Value { get; }
}
