using System.Collections.Concurrent;
using KvFs.Core;

namespace KvFs.Client;

/// <summary>The files that the client knows something of: open, dirty, or closed a short while ago.</summary>
/// <remarks>Thread safe. Bounded by what is open or dirty and <paramref name="maxClosed"/> others. A state that is let
/// go is marked under its gate, so that whoever has just found it looks again.</remarks>
internal sealed class FileTable(int maxClosed, DirtyMemory memory, QuotaKeeper quota, bool isShared)
{
    /// <summary>Files looked at per close: more than one, so that those which cannot go yet do not pile up.</summary>
    private const int TriesPerTrim = 2;

    private readonly ConcurrentDictionary<(VNodeId Id, CowNumber At), FileState> files = new();
    private readonly ConcurrentQueue<FileState> closed = new();
    private readonly MapBudget maps = new();
    private long evictions;
    private long changes;

    /// <summary>Rises whenever a state is let go.</summary>
    public long Evictions => Interlocked.Read(ref evictions);

    /// <summary>Rises whenever data of a file that was not in the table has been changed: whoever adds one then cannot
    /// know whether what he knows of it is from before.</summary>
    public long Changes => Interlocked.Read(ref changes);

    public IEnumerable<FileState> All => files.Values;

    public FileState? Find(VNodeId id, CowNumber at) => files.GetValueOrDefault((id, at));

    public FileState GetOrAdd(CowNumber at, in NodeInfo info)
    {
        FileState? found = Find(info.Id, at);
        return found ?? files.GetOrAdd((info.Id, at), new FileState(info.Id, at, info, memory, quota, maps, isShared));
    }

    /// <summary>The present state of a VNode, if there is one, kept until it is unpinned.</summary>
    public FileState? Pin(VNodeId id)
    {
        while (Find(id, CowNumber.Head) is { } file)
        {
            lock (file.Gate)
            {
                if (file.IsEvicted) { continue; }
                file.Pins++;
                return file;
            }
        }

        return null;
    }

    public void Unpin(FileState file)
    {
        lock (file.Gate)
        {
            file.Pins--;
            NoteIdle(file);
        }
    }

    /// <summary>The session has changed data of a VNode that was not in the table when it was asked to.</summary>
    public void NoteChanged(in NodeInfo info)
    {
        Interlocked.Increment(ref changes);
        if (Find(info.Id, CowNumber.Head) is not { } file) { return; }
        lock (file.Gate)
        {
            file.Maps.Clear();
            file.Learn(info);
        }
    }

    /// <summary>Something that kept a file may be over; under its gate.</summary>
    public void NoteIdle(FileState file)
    {
        if (file.Opens > 0 || file.Pins > 0 || file.IsDirty || file.IsDelegated || file.IsListedClosed || file.IsEvicted) { return; }
        file.IsListedClosed = true;
        closed.Enqueue(file);
    }

    /// <summary>Lets the longest closed files go. The caller holds no gate.</summary>
    public void Trim()
    {
        for (int tries = 0; tries < TriesPerTrim && closed.Count > maxClosed; tries++)
        {
            if (!closed.TryDequeue(out FileState? file)) { return; }
            lock (file.Gate)
            {
                file.IsListedClosed = false;
                if (file.Opens > 0 || file.Pins > 0 || file.IsDirty || file.IsDelegated || file.IsListedDirty || file.IsListedFull)
                {
                    NoteIdle(file);
                    continue;
                }

                Evict(file);
            }
        }
    }

    private void Evict(FileState file)
    {
        file.IsEvicted = true;
        file.Maps.Clear();
        Interlocked.Increment(ref evictions);
        files.TryRemove(new((file.Id, file.At), file));
    }
}
