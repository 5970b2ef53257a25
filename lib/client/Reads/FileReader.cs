using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Answers reads: dirty bytes over cluster maps over blocks.</summary>
/// <remarks>
/// Thread safe. Under the file's gate a read sees at one moment which of its bytes are dirty and which map is current;
/// a commit moves bytes from the one to the other under the same gate. So: (1) nothing dirty in the range: the map, or
/// a later one, is right. (2) All of it dirty: copied under the gate. (3) Some of it: the base is read first, then the
/// dirty bytes are laid over it, unless a commit came between: then again.
/// </remarks>
internal sealed class FileReader(IDriveSession session, ReadAhead readAhead, Flusher flusher)
{
    /// <summary>Attempts of a read that commits overtake, before it keeps them off.</summary>
    private const int Attempts = 8;

    /// <summary>Reads up to the file's end, or lends what was read ahead.</summary>
    public ValueTask<Reply<FoundBytes>> ReadOrLendAsync(OpenFile handle, ulong offset, Memory<byte> destination)
    {
        FileState file = handle.State;
        uint cluster = (uint)(offset / Limits.ClusterBytes);
        ClusterMap? map;
        ulong size;
        bool hasDirty;
        lock (file.Gate)
        {
            size = file.Size;
            if (offset >= size || destination.IsEmpty) { return new(Found(0)); }
            destination = destination[..(int)Math.Min((ulong)destination.Length, size - offset)];
            hasDirty = file.Dirty.Overlaps(offset, destination.Length);
            if (hasDirty && file.Dirty.TryCopyAll(offset, destination.Span)) { return new(Found(destination.Length)); }
            map = file.Maps.Find(cluster);
        }

        readAhead.Note(handle.ReadAhead, offset, destination.Length, size, cluster, map);
        if (hasDirty || map is null) { return ReadSlowlyAsync(file, offset, destination); }
        if (TryFindBlock(map, offset, destination.Length, out BlockName block, out uint source))
        {
            bool isLent = TryLend(block, source, destination.Length, out FoundBytes found, out Task? loading);
            if (isLent) { return new(Reply.Ok(found)); }
            if (loading is not null)
            {
                return LendLoadedAsync(file, offset, destination, block, source, loading);
            }
        }

        if (!TryReadRun(map, offset, destination, out ValueTask<Status> read))
        {
            return ReadSlowlyAsync(file, offset, destination);
        }

        // Asked once: a read that ends between two questions would be taken for neither.
        if (!read.IsCompletedSuccessfully) { return FinishAsync(file, offset, destination, read); }

        // House: the answer is there.
        Status status = read.Result;
        return status == Status.Ok
            ? new(Found(destination.Length))
            : FinishAsync(file, offset, destination, new(status));
    }

    /// <summary>What a cluster shows.</summary>
    public ValueTask<Reply<ClusterMap>> GetMapAsync(FileState file, uint cluster)
    {
        ulong generation;
        lock (file.Gate)
        {
            ClusterMap? map = file.Maps.Find(cluster);
            if (map is not null) { return new(Reply.Ok(map)); }
            generation = file.Maps.Generation;
        }

        return FetchMapAsync(file, cluster, generation);
    }

    private async ValueTask<Reply<ClusterMap>> FetchMapAsync(FileState file, uint cluster, ulong generation)
    {
        Reply<ClusterMap> reply = await session.GetClusterAsync(file.Id, cluster, file.At);
        if (reply.IsOk)
        {
            lock (file.Gate) { file.Maps.Put(cluster, reply.Value, generation); }
        }

        return reply;
    }

    private static Reply<FoundBytes> Found(int length) => Reply.Ok(new FoundBytes(length));

    /// <summary>Finds the block that has all of a range; false if it is in none, or in several.</summary>
    private static bool TryFindBlock(ClusterMap map, ulong offset, int length, out BlockName block, out uint source)
    {
        block = default;
        source = 0;
        uint from = (uint)(offset % Limits.ClusterBytes);
        int at = map.FirstEndingAfter(from);
        if (at == map.Runs.Count) { return false; }
        Slice run = map.Runs[at];
        if (run.Kind != SliceKind.Block || run.Offset > from || run.End < from + (ulong)length) { return false; }
        block = run.Block;
        source = run.SourceOffset + (from - run.Offset);
        return true;
    }

    private bool TryLend(BlockName block, uint source, int length, out FoundBytes found, out Task? loading)
    {
        bool isLent = readAhead.Chunks.TryLend(block, source, length, length, out ChunkLoan loan, out loading);
        found = isLent ? new(readAhead.Chunks, loan) : default;
        return isLent;
    }

    /// <summary>Lends a part of a block when it is read, or reads it if it is not to be had by then.</summary>
    private async ValueTask<Reply<FoundBytes>> LendLoadedAsync(
        FileState file, ulong offset, Memory<byte> destination, BlockName block, uint source, Task? loading)
    {
        while (loading is not null)
        {
            await loading;
            if (TryLend(block, source, destination.Length, out FoundBytes found, out loading)) { return Reply.Ok(found); }
        }

        return await FinishAsync(
            file, offset, destination, session.Blocks.ReadBlockAsync(block, source, destination));
    }

    /// <summary>Reads a range that lies in one run, or in none; false if it does not.</summary>
    private bool TryReadRun(ClusterMap map, ulong offset, Memory<byte> destination, out ValueTask<Status> read)
    {
        read = default;
        uint from = (uint)(offset % Limits.ClusterBytes);
        if ((ulong)from + (ulong)destination.Length > Limits.ClusterBytes) { return false; }
        uint end = from + (uint)destination.Length;
        int at = map.FirstEndingAfter(from);
        if (at == map.Runs.Count || map.Runs[at].Offset >= end)
        {
            destination.Span.Clear();
            read = new(Status.Ok);
            return true;
        }

        Slice run = map.Runs[at];
        if (run.Offset > from || run.End < end) { return false; }
        read = ReadRunAsync(map, run, from, destination);
        return true;
    }

    private ValueTask<Status> ReadRunAsync(ClusterMap map, Slice run, uint from, Memory<byte> destination)
    {
        uint source = run.SourceOffset + (from - run.Offset);
        switch (run.Kind)
        {
            case SliceKind.Block:
                int copied = readAhead.Chunks.Copy(run.Block, source, destination.Span, out Task? loading);
                if (copied == destination.Length) { return new(Status.Ok); }
                return copied == 0 && loading is null
                    ? session.Blocks.ReadBlockAsync(run.Block, source, destination)
                    : ReadBlockOnAsync(run.Block, source + (uint)copied, destination[copied..], loading);
            case SliceKind.Inline:
                map.Inline.Slice((int)source, destination.Length).CopyTo(destination.Span);
                return new(Status.Ok);
            default:
                destination.Span.Clear();
                return new(Status.Ok);
        }
    }

    /// <summary>Reads on in a block, of which some is read ahead or just being read.</summary>
    private async ValueTask<Status> ReadBlockOnAsync(
        BlockName block, uint source, Memory<byte> destination, Task? loading)
    {
        while (!destination.IsEmpty)
        {
            if (loading is not null) { await loading; }
            int copied = readAhead.Chunks.Copy(block, source, destination.Span, out loading);
            if (copied == 0 && loading is null)
            {
                uint toChunk = ChunkCache.ChunkBytes - (source % ChunkCache.ChunkBytes);
                copied = (int)Math.Min((uint)destination.Length, toChunk);
                Status status = await session.Blocks.ReadBlockAsync(block, source, destination[..copied]);
                if (status != Status.Ok) { return status; }
            }

            source += (uint)copied;
            destination = destination[copied..];
        }

        return Status.Ok;
    }

    private async ValueTask<Reply<FoundBytes>> FinishAsync(
        FileState file, ulong offset, Memory<byte> destination, ValueTask<Status> read)
    {
        Status status = await read;
        if (status == Status.Ok) { return Found(destination.Length); }
        if (!IsOutdated(status)) { return Reply.Failed<FoundBytes>(status); }
        Forget(file);
        return await ReadSlowlyAsync(file, offset, destination);
    }

    private async ValueTask<Reply<FoundBytes>> ReadSlowlyAsync(FileState file, ulong offset, Memory<byte> destination)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            Status? status = await TryReadAsync(file, offset, destination);
            if (status == Status.Ok) { return Found(destination.Length); }
            if (status is { } failure) { return Reply.Failed<FoundBytes>(failure); }
        }

        await file.EnterExclusiveAsync();
        try
        {
            await flusher.DrainAsync(file);
            Status? status = await TryReadAsync(file, offset, destination);
            return status switch
            {
                Status.Ok => Found(destination.Length),
                { } failure => Reply.Failed<FoundBytes>(failure),
                null => Reply.Failed<FoundBytes>(Status.IoError),
            };
        }
        finally
        {
            flusher.LeaveExclusive(file);
        }
    }

    /// <summary>Reads a range; null if it must be read again.</summary>
    private async ValueTask<Status?> TryReadAsync(FileState file, ulong offset, Memory<byte> destination)
    {
        bool hasDirty;
        ulong generation;
        lock (file.Gate)
        {
            hasDirty = file.Dirty.Overlaps(offset, destination.Length);
            generation = file.Maps.Generation;
        }

        Status status = await ReadBaseAsync(file, offset, destination);
        if (IsOutdated(status))
        {
            Forget(file);
            return null;
        }

        if (status != Status.Ok || !hasDirty) { return status; }
        lock (file.Gate)
        {
            if (file.Maps.Generation != generation) { return null; }
            file.Dirty.CopyOver(offset, destination.Span);
            return Status.Ok;
        }
    }

    private async ValueTask<Status> ReadBaseAsync(FileState file, ulong offset, Memory<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            uint cluster = (uint)(offset / Limits.ClusterBytes);
            uint from = (uint)(offset % Limits.ClusterBytes);
            int length = Math.Min(destination.Length, Limits.ClusterBytes - (int)from);
            Reply<ClusterMap> map = await GetMapAsync(file, cluster);
            if (!map.IsOk) { return map.Status; }
            Status status = await ReadClusterAsync(map.Value, from, destination[..length]);
            if (status != Status.Ok) { return status; }
            offset += (ulong)length;
            destination = destination[length..];
        }

        return Status.Ok;
    }

    private async ValueTask<Status> ReadClusterAsync(ClusterMap map, uint from, Memory<byte> destination)
    {
        for (int at = map.FirstEndingAfter(from); !destination.IsEmpty; at++)
        {
            uint end = from + (uint)destination.Length;
            uint next = at < map.Runs.Count ? Math.Min(map.Runs[at].Offset, end) : end;
            if (next > from)
            {
                destination.Span[..(int)(next - from)].Clear();
                destination = destination[(int)(next - from)..];
                from = next;
            }

            if (destination.IsEmpty) { break; }
            Slice run = map.Runs[at];
            int length = (int)(Math.Min(run.End, end) - from);
            Status status = await ReadRunAsync(map, run, from, destination[..length]);
            if (status != Status.Ok) { return status; }
            from += (uint)length;
            destination = destination[length..];
        }

        return Status.Ok;
    }

    /// <summary>A block of a map is gone: it was overwritten, or packed elsewhere, after the map was read.</summary>
    private static bool IsOutdated(Status status) => status == Status.NotFound;

    private static void Forget(FileState file)
    {
        lock (file.Gate) { file.Maps.Clear(); }
    }
}
