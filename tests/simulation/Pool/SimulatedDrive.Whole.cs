using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <content>What concerns two drives, or the whole of one, as <c>HostedDrive</c> and <c>DriveRemover</c> have it.</content>
internal sealed partial class SimulatedDrive
{
    /// <summary>The first transaction of a clone that the transaction in the making makes.</summary>
    private DriveTransaction? cloned;
    private bool isRemoving;

    /// <summary>Makes a clone: one batch has the pin here and the clone's first transaction.</summary>
    /// <param name="made">Its id.</param>
    /// <param name="snapshot">Of what; null: of the present.</param>
    public Status Clone(DriveId made, string? snapshot)
    {
        cloned = new();
        CreateCloneRequest request = new() { Drive = made, Name = $"clone-{made}", Snapshot = snapshot };
        return CreateClone.Apply(request, DriveCatalog.Read(shard.Head), shard.Head, transaction, cloned);
    }

    /// <summary>Removes this drive, which is Deleting: once that is on all disks, and nobody has a session, first its blocks, then its records.
    /// </summary>
    private void Remove()
    {
        if (heard.Count > 0 || isRemoving) { return; }
        isRemoving = true;
        node.Sync(shard.Id, shard.Disk.PositionOf(shard.Disk.Applied), status =>
        {
            isRemoving = false;
            if (status != Status.Ok || shard.IsOver || !node.MayAnswer(shard.Id)) { return; }
            node.DropBlocks(shard.Id, [.. shard.Disk.Blocks.Keys.Where(block => block.Owner == Id)]);
            shard.EnterLater(Forget);
        });
    }

    /// <summary>Removes its records, and its pin in the drive that it was cloned from, in one batch.</summary>
    private void Forget()
    {
        if (IsGone || !shard.CanSubmit) { return; }
        SimulatedDrive? origin = state!.Policy.Origins is [DriveLayer layer, ..] ? shard.Find(layer.Drive) : null;

        // Without ids it is tried again.
        if (origin is not null && origin.transaction.Begin(origin.state!, origin.counters, shard.Head, Now) != Status.Ok) { return; }
        batch.Clear();
        Invariant.Check(DeleteDrive.Forget(state, origin?.transaction, batch) == Status.Ok);
        origin?.transaction.Build(batch);
        world.Note("drive removed");
        shard.Commit(batch, durable: false, _ => shard.Remove(this));
        origin?.Adopt();
    }
}
