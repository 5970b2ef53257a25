using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>An ordered map that keeps what it has flushed: what the journal of a <see cref="JournaledKeyValueStore"/>
/// completes.</summary>
/// <remarks>Thread safe. A flush, asked for or not, makes all families durable as they were at one moment: a prefix of the
/// writes, and the mark of the last one in it that had one. What was not flushed ends with the process.</remarks>
internal interface ITableStore : IKeyValueReader, IDisposable
{
    /// <summary>Where it is, for people.</summary>
    string Path { get; }

    /// <summary>The last mark that was written; false if none ever was.</summary>
    /// <exception cref="StorageException">It cannot be read.</exception>
    bool TryReadMark(out JournalMark mark);

    IKeyValueSnapshot CreateSnapshot();

    /// <summary>Applies all of the batch, and the mark if there is one, or nothing.</summary>
    /// <returns>Ok; NoSpace: not applied, and it goes on once there is space; else it is unknown what was applied.</returns>
    Status Write(KeyValueBatch batch, JournalMark? mark, out string? failure);

    /// <summary>Makes everything durable that was written before the call.</summary>
    /// <returns>Ok; NoSpace: it is not, and it goes on once there is space; else it is not, and never will be.</returns>
    Status Flush(out string? failure);

    /// <summary>Its part of the figures.</summary>
    KeyValueStatistics GetStatistics();
}
