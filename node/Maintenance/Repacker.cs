using System.Diagnostics.CodeAnalysis;
using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;

namespace KvFs.Node.Maintenance;

/// <summary>Gives back what half-dead blocks occupy: copies what is live of them into full new ones.</summary>
/// <remarks>
/// One thread runs it, one <see cref="RepackRound"/> at a time, a bounded part of it each call. A drive is looked at once
/// after a start, and then only when transactions have left so many bytes of live blocks without a reference that a look
/// pays; so an idle drive costs nothing, and a busy one a walk over its index per so many bytes of garbage. A round that
/// gave something back is followed by another. While space is short, rounds are small and do not rest between their parts;
/// where there is none, or a round fails, the drive waits, longer each time.
/// </remarks>
public sealed class Repacker(DriveHost host, BlockStore blocks, TimeProvider clock)
{
    /// <summary>Unreferenced bytes from which on a drive is looked at.</summary>
    public const long DueBytes = 16L << 20;

    /// <summary>The part of what a drive's blocks occupy that must be unreferenced besides: a look at a big drive costs more.
    /// </summary>
    private const int DuePart = 32;

    /// <summary>Free bytes without which there is no use in beginning: a copy must fit before anything comes back.</summary>
    private const long MinFreeBytes = 2L << 20;

    /// <summary>The part of the free bytes that a round may fill with copies.</summary>
    private const int CopyPart = 2;

    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromMinutes(5);

    private readonly Dictionary<DriveId, Waiting> seen = [];
    private RepackRound? round;
    private long rounds;
    private long emptiedBlocks;
    private long reclaimedBytes;

    /// <summary>Rounds that came to their end.</summary>
    public long Rounds => Volatile.Read(ref rounds);

    /// <summary>Half-dead blocks that were emptied, and so died.</summary>
    public long EmptiedBlocks => Volatile.Read(ref emptiedBlocks);

    /// <summary>Bytes that their garbage occupied.</summary>
    public long ReclaimedBytes => Volatile.Read(ref reclaimedBytes);

    /// <summary>Does a part of a round; true if there is more to do without a rest.</summary>
    /// <param name="cancellationToken">Ends the part early.</param>
    /// <param name="pace">Kept meanwhile, unless space is short.</param>
    public bool Run(CancellationToken cancellationToken, Pace? pace = null)
    {
        if (round is null && !TryBegin(out round)) { return false; }
        Status status = round.Run(blocks.Space.IsShort() ? null : pace, cancellationToken, out bool done);
        bool isShort = blocks.Space.IsShort();
        if (status == Status.Ok && !done) { return isShort; }
        End(round, status);
        round = null;
        return isShort && status == Status.Ok;
    }

    private bool TryBegin([NotNullWhen(true)] out RepackRound? begun)
    {
        begun = null;
        bool hasAsked = false;
        long free = 0;
        foreach (HostedDrive drive in host.All)
        {
            if (drive.State.Policy.Flags != DriveFlags.None || !IsDue(drive)) { continue; }
            if (!hasAsked && blocks.Space.GetFree(out free) != Status.Ok) { return false; }
            hasAsked = true;
            if (free < MinFreeBytes) { return false; }
            drive.TakeLooseBytes();
            begun = new(drive, host.Records, blocks, free / CopyPart);
            return true;
        }

        return false;
    }

    private bool IsDue(HostedDrive drive)
    {
        if (!seen.TryGetValue(drive.Id, out Waiting? waiting)) { return true; }
        if (clock.GetElapsedTime(waiting.Since) < waiting.For) { return false; }
        if (waiting.Again) { return true; }
        if (drive.LooseBytes < DueBytes) { return false; }
        DriveStatistics? used = blocks.GetStatistics(drive.Id);
        return used is not null && drive.LooseBytes >= (used.CapacityBytes - used.FreeBytes) / DuePart;
    }

    private void End(RepackRound ended, Status status)
    {
        Interlocked.Increment(ref rounds);
        Interlocked.Add(ref emptiedBlocks, ended.EmptiedBlocks);
        Interlocked.Add(ref reclaimedBytes, ended.ReclaimedBytes);
        if (!seen.TryGetValue(ended.Drive.Id, out Waiting? waiting)) { seen.Add(ended.Drive.Id, waiting = new()); }
        waiting.Since = clock.GetTimestamp();
        waiting.Again = status != Status.Ok || ended.EmptiedBlocks > 0;
        waiting.For = status == Status.Ok ? TimeSpan.Zero
            : TimeSpan.FromTicks(Math.Clamp(waiting.For.Ticks * 2, s_firstWait.Ticks, s_longestWait.Ticks));
        ForgetRemoved();
    }

    private void ForgetRemoved()
    {
        foreach (DriveId drive in seen.Keys.ToArray())
        {
            if (host.Find(drive) is null) { seen.Remove(drive); }
        }
    }

    /// <summary>When a drive that was looked at may be looked at again.</summary>
    private sealed class Waiting
    {
        public long Since { get; set; }

        public TimeSpan For { get; set; }

        /// <summary>There is more to gain, or it is not known: no need to wait for garbage.</summary>
        public bool Again { get; set; }
    }
}
