using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Keeps chains of clones short: flattens a clone whose chain has grown long, and cuts the chains of others behind
/// one that is flat.</summary>
/// <remarks>One thread runs it, the shortest of the long chains first: once its drive is flat, the chains of all that were
/// cloned from that are short, too, and most need no copy of their own. Every step is one bounded transaction. What a stop or a crash interrupts is done
/// again by the next run, which passes over what is there. With no long chain it only looks at what is in memory.</remarks>
/// <param name="host">The drives.</param>
/// <param name="longChain">Origins from which on a clone is flattened.</param>
/// <param name="recordsPerStep">Inherited records that one transaction looks at.</param>
public sealed class Flattener(
    DriveHost host, int longChain = Limits.CloneDepth, int recordsPerStep = Flatten.RecordsPerStep)
{
    /// <summary>Steps of one call: the loop can be stopped in between.</summary>
    private const int StepsPerCall = 64;

    /// <summary>Drives whose records cannot all be read: they stay as they are until somebody has looked.</summary>
    private readonly HashSet<DriveId> damaged = [];
    private HostedDrive? drive;
    private RecordKey next;
    private long flattened;

    /// <summary>Drives that came to be flat since the start.</summary>
    public long Flattened => Volatile.Read(ref flattened);

    /// <summary>Does some steps; true if there is more to do now.</summary>
    public bool Run(CancellationToken cancellationToken)
    {
        if (drive is null && !TryBegin()) { return false; }
        for (int step = 0; step < StepsPerCall && !cancellationToken.IsCancellationRequested; step++)
        {
            Status status = drive!.Transact(
                default,
                static (in (RecordKey From, int Records) step, DriveTransaction transaction, out RecordKey? reached) =>
                    Flatten.Apply(step.From, transaction, out reached, step.Records),
                (next, recordsPerStep),
                SpaceUse.Metadata,
                out RecordKey? rest);
            if (status != Status.Ok)
            {
                if (status is Status.Corrupt or Status.IoError) { damaged.Add(drive.Id); }
                drive = null;
                return false;
            }

            if (rest is not { } key)
            {
                Interlocked.Increment(ref flattened);
                drive = null;
                return true;
            }

            next = key;
        }

        return true;
    }

    /// <summary>Cuts chains, and finds the drive whose chain is the shortest of the long ones.</summary>
    private bool TryBegin()
    {
        int depth = int.MaxValue;
        foreach (HostedDrive candidate in host.All)
        {
            DrivePolicy policy = candidate.State.Policy;
            bool isBusy = (policy.Flags & (DriveFlags.Deleting | DriveFlags.Restoring)) != 0;
            if (policy.Inherited.Length < Math.Min(longChain, 2) || isBusy || damaged.Contains(candidate.Id)) { continue; }
            if (Flatten.TrimmedDepth(policy, IsFlat) < policy.Inherited.Length) { Trim(candidate); }
            int left = candidate.State.Policy.Inherited.Length;
            if (left < longChain || left >= depth) { continue; }
            depth = left;
            drive = candidate;
            next = Flatten.Start;
        }

        return drive is not null;
    }

    private void Trim(HostedDrive clone) => clone.Transact(
        default,
        static (in Func<DriveId, bool> isFlat, DriveTransaction transaction, out bool done) =>
        {
            done = true;
            return Flatten.Trim(isFlat, transaction);
        },
        IsFlat,
        SpaceUse.Release,
        out bool _);

    private bool IsFlat(DriveId id) => host.Find(id)?.State.Policy.IsFlat == true;
}
