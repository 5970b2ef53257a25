using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>What lseek(2) looks for beside a place.</summary>
public enum SeekTarget : byte
{
    Data = 1,
    Hole = 2,
}

/// <content>Operations on ranges of files: dirty data goes first.</content>
public sealed partial class DriveClient
{
    /// <summary>Changes what backs a range (fallocate(2)).</summary>
    public async ValueTask<Reply<NodeInfo>> ChangeRangeAsync(RangeRequest request)
    {
        if (table.Pin(request.Node) is not { } state)
        {
            Reply<NodeInfo> changed = await ChangeAsync(request);
            if (changed.IsOk) { table.NoteChanged(changed.Value); }
            return changed;
        }

        await state.EnterExclusiveAsync();
        try
        {
            Status flushed = await flusher.FlushAsync(state, isOwner: true);
            if (flushed != Status.Ok) { return Reply.Failed<NodeInfo>(flushed); }
            Reply<NodeInfo> reply = await ChangeAsync(request);
            lock (state.Gate)
            {
                state.Maps.Clear();
                if (reply.IsOk) { state.Learn(reply.Value); }
            }

            return reply;
        }
        finally
        {
            flusher.LeaveExclusive(state);
            table.Unpin(state);
        }
    }

    /// <summary>Copies a range by reference (copy_file_range(2)); answers the bytes copied.</summary>
    public async ValueTask<Reply<ulong>> CopyRangeAsync(CopyRangeRequest request)
    {
        // The source goes first and is not held: two copies in opposite directions must not wait for each other.
        if (request.SourceAt == CowNumber.Head && table.Find(request.Source, CowNumber.Head) is { } source)
        {
            Status status = await flusher.FlushAsync(source, isOwner: false);
            if (status != Status.Ok) { return Reply.Failed<ulong>(status); }
        }

        // Who has the source gives it back now: it must not be waited for with the target's turn.
        if (delegations is not null && request.SourceAt == CowNumber.Head) { await session.GetAsync(request.Source, CowNumber.Head); }
        if (table.Pin(request.Target) is not { } target)
        {
            Reply<ulong> copied = await CopyAsync(request);
            Reply<NodeInfo> changed = await session.GetAsync(request.Target, CowNumber.Head);
            if (changed.IsOk) { table.NoteChanged(changed.Value); }
            return copied;
        }

        await target.EnterExclusiveAsync();
        try
        {
            Status flushed = await flusher.FlushAsync(target, isOwner: true);
            if (flushed != Status.Ok) { return Reply.Failed<ulong>(flushed); }
            Reply<ulong> reply = await CopyAsync(request);
            Reply<NodeInfo> info = await session.GetAsync(request.Target, CowNumber.Head);
            lock (target.Gate)
            {
                target.Maps.Clear();
                if (info.IsOk) { target.Learn(info.Value); }
            }

            return reply;
        }
        finally
        {
            flusher.LeaveExclusive(target);
            table.Unpin(target);
        }
    }

    /// <summary>The next data or hole from an offset on; <see cref="Status.NoData"/> behind the last.</summary>
    /// <remarks>Dirty data is committed before; if that fails, all of the file counts as data, which is always true
    /// enough.
    /// </remarks>
    public async ValueTask<Reply<ulong>> SeekAsync(OpenFile file, ulong offset, SeekTarget target)
    {
        ArgumentNullException.ThrowIfNull(file);
        FileState state = file.State;
        if (through is not null && state.IsHead && !delegations!.Has(state) && await through.RefreshAsync(state) is var asked && asked != Status.Ok)
        {
            return Reply.Failed<ulong>(asked);
        }

        Status flushed = await flusher.FlushAsync(state, isOwner: false);
        ulong size;
        bool isEmpty;
        lock (state.Gate)
        {
            size = state.Size;
            isEmpty = state.Info.VNode.AllocatedBytes == 0;
        }

        if (offset >= size) { return Reply.Failed<ulong>(Status.NoData); }
        if (flushed != Status.Ok) { return Reply.Ok(target == SeekTarget.Data ? offset : size); }
        if (isEmpty) { return target == SeekTarget.Data ? Reply.Failed<ulong>(Status.NoData) : Reply.Ok(offset); }
        return await SeekMapsAsync(state, offset, size, target);
    }

    private async ValueTask<Reply<ulong>> SeekMapsAsync(FileState state, ulong offset, ulong size, SeekTarget target)
    {
        while (offset < size)
        {
            uint cluster = (uint)(offset / Limits.ClusterBytes);
            ulong start = (ulong)cluster * Limits.ClusterBytes;
            Reply<ClusterMap> map = await reader.GetMapAsync(state, cluster);
            if (!map.IsOk) { return Reply.Failed<ulong>(map.Status); }
            uint found = target == SeekTarget.Data
                ? NextData(map.Value, (uint)(offset - start))
                : NextHole(map.Value, (uint)(offset - start));
            offset = start + found;
            if (found < Limits.ClusterBytes) { break; }
        }

        if (offset < size) { return Reply.Ok(offset); }
        return target == SeekTarget.Data ? Reply.Failed<ulong>(Status.NoData) : Reply.Ok(size);
    }

    private static uint NextData(ClusterMap map, uint from)
    {
        int at = map.FirstEndingAfter(from);
        return at == map.Runs.Count ? Limits.ClusterBytes : Math.Max(from, map.Runs[at].Offset);
    }

    private static uint NextHole(ClusterMap map, uint from)
    {
        for (int at = map.FirstEndingAfter(from); at < map.Runs.Count && map.Runs[at].Offset <= from; at++)
        {
            from = map.Runs[at].End;
        }

        return from;
    }

    private async ValueTask<Reply<NodeInfo>> ChangeAsync(RangeRequest request)
    {
        ulong growth = request.Operation is RangeOperation.Allocate or RangeOperation.Zero ? request.Length : 0;
        bool isTaken = await TakeQuotaAsync(growth);
        Reply<NodeInfo> reply = await session.ChangeRangeAsync(request);
        if (isTaken) { quota.Dropped(growth); }
        return reply;
    }

    private async ValueTask<Reply<ulong>> CopyAsync(CopyRangeRequest request)
    {
        bool isTaken = await TakeQuotaAsync(request.Length);
        Reply<ulong> reply = await session.CopyRangeAsync(request);
        if (isTaken) { quota.Dropped(request.Length); }
        return reply;
    }

    /// <summary>Takes quota for what an operation of the session may charge, so that it does not use up what dirty data
    /// counts on; where there is not as much, commits all dirty data instead.</summary>
    private async ValueTask<bool> TakeQuotaAsync(ulong bytes)
    {
        const int Attempts = 4;
        for (int attempt = 0; attempt < Attempts && bytes > 0; attempt++)
        {
            if (quota.TryTake(bytes)) { return true; }
            if (await quota.EnsureAsync(bytes) != Status.Ok) { break; }
        }

        if (bytes > 0)
        {
            await flusher.FlushAllAsync(null);
            quota.ReleaseSurplus();
        }

        return false;
    }
}
