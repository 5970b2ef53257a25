using KvFs.Core;

namespace KvFs.Node.Drives;

/// <summary>What a drive leaves to the background.</summary>
/// <remarks>Thread safe. All but <see cref="Clear"/> and <see cref="RemoveOrphans"/> only take note, and may be called with the shard's gate held.</remarks>
public interface IDriveWork
{
    /// <summary>Removes what keeps an operation from going on. Call without the gate.</summary>
    /// <returns>Ok: the operation may be tried again; Busy: the same, but others were faster; else why it cannot go on.</returns>
    Status Clear(HostedDrive drive, Obstacle obstacle);

    /// <summary>Removes what lost its last name and nobody holds, now: of a tree that a restore replaced, names that count as
    /// links of what has others. What cannot be removed stays for the background. Call without the gate.</summary>
    void RemoveOrphans(HostedDrive drive, CancellationToken cancellationToken);

    /// <summary>A cluster has come to be worth folding.</summary>
    void Fold(HostedDrive drive, CrowdedCluster cluster);

    /// <summary>Something waits to be removed: an orphan, a cut, history, dead blocks.</summary>
    void Reap(HostedDrive drive);

    /// <summary>The same, but it has time: nobody is woken.</summary>
    void Keep(HostedDrive drive);

    /// <summary>A clone was made: a chain of origins may have grown long.</summary>
    void Flatten();

    /// <summary>A record of the drive is damaged.</summary>
    void OnCorrupt(HostedDrive drive, RecordCorruptException corrupt);
}
