using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <content>Clones that a client makes of its drive, each of which has a client of its own until that deletes it: its origin may go before.
/// </content>
internal sealed partial class NamespaceClient
{
    /// <summary>Of so many operations in a clone one deletes it.</summary>
    private const int DeletesOneIn = 60;

    private const int MostOrigins = 3;

    private readonly CloneOrigin? origin;
    private NamespaceClient? clone;

    /// <summary>Makes a clone of a snapshot, or of the present.</summary>
    private void MakeClone()
    {
        int depth = 1 + (origin?.Depth ?? 0);
        if (State.Tree is not { } tree || depth > MostOrigins || clone is { IsDone: false })
        {
            Next();
            return;
        }

        string? snapshot = State.Snapshots.IsEmpty || world.Random.Next(2) == 0 ? null : State.Snapshots.Keys.First();
        CloneOrigin made = new(world.DrawDrive(shard), new(snapshot is null ? tree : State.Snapshots[snapshot]), depth, IsMade: true);
        drive.Change((at, _, _) => at.Clone(made.Drive, snapshot), (answer, _) =>
        {
            bool isOver = IsOver(answer.Status);
            if (!isOver && answer.Status != Status.Ok) { throw new PoolFailedException($"client {Number}: a clone is answered {answer.Status}"); }
            world.Note(snapshot is null ? "clone of the present" : "clone of a snapshot");
            if (depth > 1) { world.Note("clone of a clone"); }
            clone = new(world, Number, shard, made with { IsMade = !isOver && !isStopped });
            world.CloneClients.Add(clone);
            clone.Start();
            if (isOver) { Recover(null); }
            else { GoOn(); }
        });
    }

    /// <summary>Deletes its drive.</summary>
    private void Delete() => drive.Change(static (_, transaction, _) => DeleteDrive.Apply(transaction), (answer, _) =>
    {
        // Of one that was asked for before, and is over.
        bool isGone = answer.Status == Status.NotFound;
        if (IsOver(answer.Status)) { Leave(); }
        else if (answer.Status != Status.Ok && !isGone) { throw new PoolFailedException($"client {Number}: the end of drive {id} is answered {answer.Status}"); }
        else
        {
            if (clone is { IsDone: false }) { world.Note("origin deleted before its clone"); }
            EndDurably();
        }
    });

    /// <summary>The same, if the drive is there.</summary>
    private void Leave() => drive.Open(status =>
    {
        if (status == Status.Ok) { Delete(); }
        else { EndDurably(); }
    });

    /// <summary>It ends once it is on all disks that the drive is deleted: else a power cut may bring it back.</summary>
    private void EndDurably() => drive.Sync(status =>
    {
        if (status == Status.Ok) { IsDone = true; }
        else { Leave(); }
    });

    /// <summary>Its drive is not there: only a clone that was made just before a power cut of all is lost so.</summary>
    private void EndLost()
    {
        if (origin is null || !world.MayLose) { throw new PoolFailedException($"client {Number} finds no drive {id}"); }
        world.Note("clone lost");
        Leave();
    }
}
