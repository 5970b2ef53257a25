using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Mount;

/// <summary>Moves access times as Linux's relatime does, behind the readers' backs.</summary>
/// <remarks>
/// The kernel leaves access times to the server. A read only notes the file and the time; some seconds later, or at
/// syncfs and unmount, those files of which the access time is due get it, by one setattr each. Until then answers
/// about the file show the noted time. What a crash loses is a few seconds of access times. Reads that the kernel
/// answers from its page cache are not seen. Thread safe.
/// </remarks>
internal sealed class AccessTimeNotes : IAsyncDisposable
{
    /// <summary>Files noted at once; more reads than that in one interval go unnoted.</summary>
    private const int MaxNotes = 16 << 10;

    /// <summary>How often a handle notes its reads.</summary>
    private static readonly TimeSpan HandleInterval = TimeSpan.FromSeconds(1);

    /// <summary>How long a note waits: long enough that one setattr serves many reads.</summary>
    private static readonly TimeSpan WriteInterval = TimeSpan.FromSeconds(10);

    /// <summary>The age from which an access time is moved although nothing changed since.</summary>
    private static readonly TimeSpan Stale = TimeSpan.FromDays(1);

    private readonly Func<DriveClient> client;
    private readonly TimeProvider time;
    private readonly Action<string, Exception> onFault;
    private readonly Lock gate = new();
    private readonly Dictionary<VNodeId, Timestamp> notes = [];
    private readonly SemaphoreSlim writing = new(1);
    private readonly ITimer timer;
    private int count;

    /// <param name="client">Who is asked now.</param>
    /// <param name="time">The clock.</param>
    /// <param name="onFault">Is told what went wrong in the background.</param>
    public AccessTimeNotes(Func<DriveClient> client, TimeProvider time, Action<string, Exception> onFault)
    {
        this.client = client;
        this.time = time;
        this.onFault = onFault;
        timer = time.CreateTimer(_ => _ = WriteInBackgroundAsync(), null, WriteInterval, WriteInterval);
    }

    /// <summary>A read went through a handle.</summary>
    public void Note(FileHandle handle, VNodeId id)
    {
        if (!handle.NotesAccess) { return; }
        long now = time.GetTimestamp();
        if (handle.AccessNoted != 0 && time.GetElapsedTime(handle.AccessNoted, now) < HandleInterval) { return; }
        handle.AccessNoted = now;
        Note(id);
    }

    /// <summary>A directory or symlink was read.</summary>
    public void Note(VNodeId id)
    {
        Timestamp now = new((time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick);
        lock (gate)
        {
            if (notes.Count >= MaxNotes && !notes.ContainsKey(id)) { return; }
            notes[id] = now;
            Volatile.Write(ref count, notes.Count);
        }
    }

    /// <summary>Somebody sets the access time: earlier reads are history.</summary>
    public void Drop(VNodeId id)
    {
        if (Volatile.Read(ref count) == 0) { return; }
        lock (gate)
        {
            notes.Remove(id);
            Volatile.Write(ref count, notes.Count);
        }
    }

    /// <summary>Shows the noted time in a VNode, if it is due.</summary>
    public void Show(VNodeId id, ref VNode node)
    {
        if (Volatile.Read(ref count) == 0) { return; }
        lock (gate)
        {
            if (notes.TryGetValue(id, out Timestamp read) && IsDue(node, read)) { node.AccessTime = read; }
        }
    }

    /// <summary>Writes what is noted.</summary>
    public async ValueTask WriteAsync()
    {
        await writing.WaitAsync();
        try
        {
            foreach (VNodeId id in List()) { await WriteAsync(id); }
        }
        finally
        {
            writing.Release();
        }
    }

    /// <summary>Ends the timer; what is noted is lost unless it was written before.</summary>
    public async ValueTask DisposeAsync()
    {
        await timer.DisposeAsync();
        await writing.WaitAsync();
        writing.Dispose();
    }

    private static bool IsDue(in VNode node, Timestamp read) => read > node.AccessTime
        && (node.AccessTime <= node.ModifyTime || node.AccessTime <= node.ChangeTime
            || read.Nanoseconds - node.AccessTime.Nanoseconds >= Stale.Ticks * TimeSpan.NanosecondsPerTick);

    private List<VNodeId> List()
    {
        lock (gate) { return [.. notes.Keys]; }
    }

    private async ValueTask WriteAsync(VNodeId id)
    {
        Timestamp read;
        Reply<NodeInfo> info = await client().GetAsync(id, CowNumber.Head);
        lock (gate)
        {
            if (!notes.TryGetValue(id, out read)) { return; }
        }

        if (info.IsOk && IsDue(info.Value.VNode, read))
        {
            // A VNode that went meanwhile, or a full disk, costs an access time and nothing else.
            await client().SetAttributesAsync(new SetAttributesRequest
            {
                Node = id,
                Mask = AttributeMask.AccessTime | AttributeMask.KeepChangeTime,
                AccessTime = read,
            });
        }

        lock (gate)
        {
            if (notes.GetValueOrDefault(id) == read) { notes.Remove(id); }
            Volatile.Write(ref count, notes.Count);
        }
    }

    private async Task WriteInBackgroundAsync()
    {
        if (Volatile.Read(ref count) == 0) { return; }
        try
        {
            await WriteAsync();
        }
        catch (Exception e)
        {
            onFault("Writing access times failed.", e);
        }
    }
}
