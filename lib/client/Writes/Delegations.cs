using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>The files whose writes are left with a session that shares its drive: they may be answered from memory.</summary>
/// <remarks>
/// Thread safe. A new file comes with its writes; of another one they are asked for with the second write behind each other, and not for a while
/// after somebody else wanted it. They are given back when somebody else asks for the file (<see cref="ISessionRecall.ReturnAsync"/>), and when it is closed and
/// all of it is committed (<see cref="TickAsync"/>). In order: (1) writes are kept off; (2) what there is is committed; (3) the file counts
/// as others'; (4) the session gives it back. Order of locks: this one's, then a file's gate.
/// </remarks>
internal sealed class Delegations(IDriveSession session, FileTable table, Flusher flusher, TimeProvider time)
{
    /// <summary>Files at once: half of what a session may have.</summary>
    private const int MaxFiles = 8 << 10;

    /// <summary>Files that are given back at once.</summary>
    private const int ReturnedTogether = 1024;

    /// <summary>After somebody else wanted a file it is written through for so long.</summary>
    private static readonly TimeSpan s_rest = TimeSpan.FromSeconds(2);

    private readonly Lock gate = new();
    private readonly Dictionary<VNodeId, FileState> files = [];

    /// <summary>What was asked back of new files, of which nothing is known here yet.</summary>
    private readonly HashSet<VNodeId> early = [];

    /// <summary>New files that are on their way.</summary>
    private int making;

    /// <summary>How many more may be left with the session.</summary>
    private int room = MaxFiles;

    /// <summary>Whether a file's writes are left with the session, for certain.</summary>
    public bool Has(FileState file) => file.IsDelegated && session.HoldsLease;

    /// <summary>A file is about to be made. True: with its writes; <see cref="EndMaking"/> is to be called.</summary>
    public bool TryBeginMaking()
    {
        lock (gate)
        {
            if (room <= 0) { return false; }
            room--;
            making++;
            return true;
        }
    }

    /// <summary>A file was made, or was not (null).</summary>
    public void EndMaking(FileState? made)
    {
        lock (gate)
        {
            making--;
            bool isWanted = made is null || early.Remove(made.Id);
            if (making == 0) { early.Clear(); }
            if (isWanted) { room++; }
            else { Add(made!); }
        }
    }

    /// <summary>Whether a file is left with the session, as far as is known here.</summary>
    public static bool IsLeft(FileState file)
    {
        lock (file.Gate) { return file.IsDelegated; }
    }

    /// <summary>A write is about to be committed before it is answered; <see cref="EndThrough"/> is to be called. False: it goes to memory, because the
    /// file's writes are left with the session, and are asked for if that helps.</summary>
    public async ValueTask<bool> TryBeginThroughAsync(FileState file)
    {
        while (true)
        {
            Task? turn = null;
            bool asks = false;
            lock (file.Gate)
            {
                if (file.IsDelegated) { return false; }
                if (file.IsExclusive) { turn = file.WaitTurnAsync(); }
                else if (MayAsk(file)) { asks = true; }
                else
                {
                    file.WasWrittenThrough = true;
                    file.ThroughWrites++;
                    return true;
                }
            }

            if (turn is not null) { await turn; }
            if (asks) { await TryTakeAsync(file); }
        }
    }

    public static void EndThrough(FileState file)
    {
        lock (file.Gate) { file.ThroughWrites--; }
    }

    private async ValueTask TryTakeAsync(FileState file)
    {
        await file.EnterExclusiveAsync();
        try
        {
            bool asks;
            lock (file.Gate) { asks = MayAsk(file); }
            if (asks) { await AskAsync(file); }
        }
        finally
        {
            flusher.LeaveExclusive(file);
        }
    }

    /// <summary>Not of what is on its way past memory already. Under the file's gate.</summary>
    private bool MayAsk(FileState file) =>
        !file.IsDelegated && file.IsHead && !file.IsRemoved && !file.IsReturning && file.WasWrittenThrough && file.ThroughWrites == 0
        && time.GetTimestamp() >= file.DelegateFrom && Volatile.Read(ref room) > 0;

    /// <summary>Somebody else asks for files: see <see cref="ISessionRecall.ReturnAsync"/>.</summary>
    public async ValueTask<Status> ReturnAsync(IReadOnlyCollection<VNodeId> nodes)
    {
        Status[] done = await Task.WhenAll(nodes.Select(node => ReturnAsync(node).AsTask()));
        return done.FirstOrDefault(static status => status != Status.Ok);
    }

    /// <summary>Gives back what nobody has open any more and is committed.</summary>
    public async ValueTask TickAsync()
    {
        List<FileState> idle = [];
        lock (gate)
        {
            foreach (FileState file in files.Values)
            {
                if (idle.Count == ReturnedTogether) { break; }
                lock (file.Gate)
                {
                    if (file.Opens > 0 || file.Pins > 0 || file.IsDirty || file.IsExclusive) { continue; }
                    Forget(file, 0);
                    file.IsReturning = true;
                    idle.Add(file);
                }
            }

            foreach (FileState file in idle) { files.Remove(file.Id); }
            room += idle.Count;
        }

        if (idle.Count == 0) { return; }
        await session.ReturnDelegationsAsync([.. idle.Select(static file => file.Id)]);
        foreach (FileState file in idle)
        {
            lock (file.Gate)
            {
                file.IsReturning = false;
                table.NoteIdle(file);
            }
        }
    }

    /// <summary>With the file to itself.</summary>
    private async ValueTask AskAsync(FileState file)
    {
        Reply<NodeInfo> reply = await session.DelegateAsync(file.Id);
        lock (gate)
        {
            lock (file.Gate)
            {
                if (!reply.IsOk)
                {
                    file.DelegateFrom = Later();
                    return;
                }

                file.Maps.Clear();
                file.Learn(reply.Value);
            }

            room--;
            Add(file);
        }
    }

    /// <summary>Under this one's lock.</summary>
    private void Add(FileState file)
    {
        lock (file.Gate) { file.IsDelegated = true; }
        files[file.Id] = file;
    }

    private async ValueTask<Status> ReturnAsync(VNodeId node)
    {
        if (table.Pin(node) is not { } file)
        {
            lock (gate)
            {
                if (making > 0) { early.Add(node); }
            }

            return await session.ReturnDelegationsAsync([node]);
        }

        await file.EnterExclusiveAsync();
        try
        {
            // What is lost is told to whoever has it open; it keeps nobody from the file.
            Status flushed = await flusher.FlushAsync(file, isOwner: true);
            if (flushed != Status.Ok && DriveClient.Keeps(flushed)) { return flushed; }
            lock (gate)
            {
                if (!file.IsDelegated && making > 0) { early.Add(node); }
                lock (file.Gate) { Forget(file, Later()); }
                if (files.Remove(node)) { room++; }
            }

            return await session.ReturnDelegationsAsync([node]);
        }
        finally
        {
            flusher.LeaveExclusive(file);
            table.Unpin(file);
        }
    }

    /// <summary>Under the file's gate.</summary>
    private static void Forget(FileState file, long delegateFrom)
    {
        file.IsDelegated = false;
        file.WasWrittenThrough = false;
        file.DelegateFrom = delegateFrom;
        file.Maps.Clear();
    }

    private long Later() => time.GetTimestamp() + (long)(s_rest.TotalSeconds * time.TimestampFrequency);
}
