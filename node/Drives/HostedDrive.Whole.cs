using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node.Drives;

/// <content>What concerns two drives, or the whole of one.</content>
public sealed partial class HostedDrive
{
    /// <summary>Makes a clone of this drive: one batch has the pin here and the clone's first transaction.</summary>
    /// <param name="request">Which.</param>
    /// <param name="catalog">The names that are taken.</param>
    /// <param name="clone">Gets the clone's first transaction.</param>
    /// <param name="applied">As <see cref="Shards.Shard.Commit"/>.</param>
    public Status MakeClone(
        CreateCloneRequest request, DriveCatalog catalog, DriveTransaction clone, Action applied)
    {
        ArgumentNullException.ThrowIfNull(clone);
        using (Shard.Enter())
        {
            try
            {
                Status status = Begin();
                if (status == Status.Ok) { status = CreateClone.Apply(request, catalog, head, Transaction, clone); }
                if (status != Status.Ok) { return status; }
                RecordBatch batch = new();
                Transaction.Build(batch);
                clone.Build(batch);
                status = Shard.Commit(Id, batch, adopt + applied);
                if (status == Status.Ok) { Adopt(); }
                return status;
            }
            catch (RecordCorruptException corrupt)
            {
                return OnCorrupt(corrupt);
            }
            catch (StorageException failed)
            {
                return failed.Status;
            }
        }
    }

    /// <summary>Removes the records of this drive, which is Deleting and has no blocks any more, and its pin in the drive that
    /// it was cloned from, in one batch.</summary>
    public Status Forget(HostedDrive? origin)
    {
        using (Shard.Enter())
        {
            try
            {
                RecordBatch batch = new();
                Status status = Shard.Resume();
                if (isForgotten) { return status; }
                if (status == Status.Ok && origin is not null) { status = origin.Begin(); }
                if (status == Status.Ok) { status = DeleteDrive.Forget(state, origin?.Transaction, batch); }
                if (status != Status.Ok) { return status; }
                origin?.Transaction.Build(batch);
                status = Shard.Commit(Id, batch, Forgotten);
                if (status == Status.Ok) { Forgotten(); }
                return status;

                void Forgotten()
                {
                    isForgotten = true;
                    origin?.Adopt();
                }
            }
            catch (RecordCorruptException corrupt)
            {
                return (origin ?? this).OnCorrupt(corrupt);
            }
            catch (StorageException failed)
            {
                return failed.Status;
            }
        }
    }
}
