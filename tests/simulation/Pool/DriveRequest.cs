using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A change of a drive, by operations of core, as one transaction; what it answers goes into the result.</summary>
internal delegate Status DriveChange(SimulatedDrive drive, DriveTransaction transaction, ByteBuffer result);

/// <summary>What a client asks of a drive.</summary>
/// <param name="Id">The same when it is sent again; default: it belongs to no session.</param>
/// <param name="Answered">The newest place in the log that an answer named.</param>
/// <param name="Change">What to do.</param>
/// <param name="Reserved">What its session has set aside, as far as answers told it: a primary that goes on with the session learns it so.
/// </param>
/// <param name="Held">What its session holds open, likewise.</param>
internal sealed record DriveRequest(
    RequestId Id, LogPosition Answered, DriveChange Change, Reservation Reserved = default, IReadOnlyDictionary<VNodeId, uint>? Held = null);

/// <summary>What a drive answers.</summary>
/// <param name="Status">Of the operation; Busy, StaleEpoch: ask again; Lost: what was answered once is gone.</param>
/// <param name="Result">What a change answered.</param>
/// <param name="Text">What a reading showed.</param>
internal readonly record struct DriveAnswer(Status Status, ReadOnlyMemory<byte> Result = default, string Text = "")
{
    public static DriveAnswer Busy => new(Status.Busy);

    /// <summary>By what the drive's use grew: taken out of what the session had set aside.</summary>
    public Reservation Grown { get; init; }

    /// <summary>The place in the log that the answer shows.</summary>
    public LogPosition At { get; init; }
}
