using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Sessions;

/// <summary>A session of a client in the same process: requests run on the caller's thread and complete before they
/// return.</summary>
/// <remarks>Thread safe. A change takes the shard's gate for as long as it decides and logs; a read takes none. A damaged
/// record is an answer (<see cref="Status.Corrupt"/>), not an exception.</remarks>
public sealed partial class LocalDriveSession : IDriveSession
{
    /// <summary>What this thread carries out, if its answer is to be kept.</summary>
    [ThreadStatic]
    private static IKeptRequest? t_kept;

    private readonly HostedDrive drive;
    private readonly StoredBlocks stored = new();
    private readonly Func<LocalDriveSession, ValueTask> closing;
    private int closed;

    public LocalDriveSession(
        HostedDrive drive,
        SessionId id,
        SessionAccess access,
        IBlockService blocks,
        Func<LocalDriveSession, ValueTask> closing)
    {
        ArgumentNullException.ThrowIfNull(drive);
        this.drive = drive;
        this.closing = closing;
        Id = id;
        Blocks = new SessionBlocks(this, blocks);
        Access = access;
    }

    public SessionId Id { get; }

    public DriveId Drive => drive.Id;

    public IBlockService Blocks { get; }

    public SessionAccess Access { get; }

    /// <summary>What commits may name for the first time. Of a spread drive a block is on disk with its index entry before it is answered: no
    /// power cut takes it.</summary>
    private IStoredBlocks? Stored => drive.State.Policy.Spread == 0 ? stored : null;

    /// <summary>A block is at every copy that counts.</summary>
    internal void OnStored(BlockId block) => stored.Add(block);

    /// <summary>The drive it is with.</summary>
    public HostedDrive Hosted => drive;

    public void OnRecall(ISessionRecall recall)
    {
        drive.Sessions.Register(Id, recall);
        if (Access.IsShared()) { drive.Writes.Add(Id, recall); }
    }

    public ValueTask DisposeAsync() => Interlocked.Exchange(ref closed, 1) == 0 ? closing(this) : ValueTask.CompletedTask;

    /// <summary>Another node serves the drive: nothing is done here any more, and nothing ended.</summary>
    public void Leave() => Volatile.Write(ref closed, 1);

    /// <summary>Carries out one request on this thread, whose answer is kept with its effect.</summary>
    internal static ValueTask<T> KeepAsync<T>(IKeptRequest? kept, Func<ValueTask<T>> request)
    {
        t_kept = kept;
        try
        {
            return request();
        }
        finally
        {
            t_kept = null;
        }
    }

    public ValueTask<Status> SyncAsync() => new(drive.Shard.Sync());

    /// <summary>Runs an operation as one transaction of this session.</summary>
    private Status Run<TRequest, TResult>(
        DriveOperation<TRequest, TResult> operation,
        in TRequest request,
        SpaceUse use,
        out TResult result,
        DriveAftermath<TRequest, TResult>? logged = null,
        KeptChange? change = null)
        where TRequest : allows ref struct
    {
        result = default!;
        if (Access.IsReadOnly()) { return Status.ReadOnly; }
        if (Volatile.Read(ref closed) != 0) { return Status.SessionExpired; }
        drive.CountRequest();
        return drive.Transact(Id, operation, in request, use, out result, logged: logged, kept: t_kept, change: change);
    }

    /// <summary>Reads committed records without the gate.</summary>
    private Status Read<TArgument, TResult>(
        CowNumber at, DriveReading<TArgument, TResult> reading, TArgument argument, out TResult result)
        where TArgument : allows ref struct
    {
        result = default!;
        if (Volatile.Read(ref closed) != 0) { return Status.SessionExpired; }
        drive.CountRequest();
        return drive.Read(at, reading, argument, out result);
    }

    private static ValueTask<Reply<T>> Answer<T>(Status status, T value) => new(new Reply<T>(status, value));
}
