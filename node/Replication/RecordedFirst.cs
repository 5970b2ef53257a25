using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Replication;

/// <summary>What has to be in the journal before anything else of a driver: the pool map under which that is done.</summary>
/// <remarks>Thread safe. Nothing is synced for it: the journal becomes durable in the order in which it was written, so whatever is durable of
/// what came later has this before it. It is written by whoever writes first; what nobody needs yet does not wait for a disk.</remarks>
internal sealed class RecordedFirst(IKeyValueStore store)
{
    private readonly Lock gate = new();
    private KeyValueBatch? pending;

    /// <summary>Has this take the place of what was to be written, if that was not.</summary>
    public void Set(KeyValueBatch record) => Volatile.Write(ref pending, record);

    /// <summary>Writes it, unless that was done.</summary>
    /// <returns>As <see cref="IKeyValueStore.Write"/>; unless it is Ok, nothing else may be written.</returns>
    public Status Write()
    {
        if (Volatile.Read(ref pending) is null) { return Status.Ok; }
        lock (gate)
        {
            while (Volatile.Read(ref pending) is { } record)
            {
                Status status = store.Write(record, logged: true);
                if (status != Status.Ok) { return status; }

                // A newer one may have come meanwhile.
                Interlocked.CompareExchange(ref pending, null, record);
            }
        }

        return Status.Ok;
    }
}
