using System.Buffers;
using System.Runtime.Versioning;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Remote;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>The service of blocks of replication.proto.</summary>
[SupportedOSPlatform("linux")]
internal sealed class BlockCopyService(
    ReplicationDriver driver, BlockStore blocks, BlockCopies sender, PeerLinks links, int shardCount) : IAsyncDisposable
{
    /// <summary>Blocks that are stored at once: so many may share one sync of the disk.</summary>
    private const int Threads = 16;

    /// <summary>Bytes of blocks that came and are not stored yet: of copies, and as much again of those kept as their primary.</summary>
    private const long MaxBytesUnderWay = 256 << 20;

    private readonly RequestThreads threads = new(Threads);
    private readonly BlocksUnderWay copying = new(MaxBytesUnderWay);

    /// <summary>Those that keep blocks as the primary of their shard: they wait for other nodes, whose blocks must not wait for them.</summary>
    private readonly RequestThreads leading = new(Threads);
    private readonly BlocksUnderWay kept = new(MaxBytesUnderWay);
    private readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Blocks that are being stored, and one more until this ends.</summary>
    private int underWay = 1;

    /// <summary>Numbers of blocks in one part of a list.</summary>
    private const int ListedBlocks = 10_000;

    public void AddTo(GrpcServices services)
    {
        services.ClientStreaming(BlockCopyMethods.Store, StoreAsync);
        services.ServerStreaming(BlockCopyMethods.List, ListAsync);
        services.ServerStreaming(BlockCopyMethods.Fetch, FetchAsync);
        services.Unary(BlockCopyMethods.Complete, Complete);
        services.Unary(BlockCopyMethods.Drop, Drop);
    }

    /// <summary>Ends once nothing is stored any more. Nobody may send blocks by then.</summary>
    public async ValueTask DisposeAsync()
    {
        OnDone();
        await idle.Task;
        threads.Dispose();
        leading.Dispose();
    }

    /// <summary>Stores a block that came on a direct stream, and answers on this node's own.</summary>
    public void OnStore(NodeId from, V1.StoreBlock sent)
    {
        bool isLed = sent.Head?.ToPrimary == true;
        BlocksUnderWay blocksUnderWay = isLed ? kept : copying;
        Status status = sent.Head is null ? Status.Invalid : blocksUnderWay.Begin(from, sent);
        if (status == Status.Ok)
        {
            Interlocked.Increment(ref underWay);
            (isLed ? leading : threads).Run(new Storing(this, blocksUnderWay, sent));
            return;
        }

        sent.Lent?.Dispose();
        if (status != Status.Exists) { Answer(from, sent.Number, status); }
    }

    private void OnDone()
    {
        if (Interlocked.Decrement(ref underWay) == 0) { idle.TrySetResult(); }
    }

    private void Answer(NodeId to, ulong number, Status status) =>
        links.Send(to, new() { BlockStored = new() { Number = number, Status = status.ToWire() } });

    private Status Store(V1.StoreBlock sent)
    {
        if (Check(sent.Head, out BlockName name) is var wrong && wrong != Status.Ok) { return wrong; }
        if (sent.Head.Length != sent.Data.Length) { return Status.Invalid; }
        return Crc32C.Compute(sent.Data.Span) == sent.Crc32C ? Keep(name, sent.Head, sent.Data.Span) : Status.Corrupt;
    }

    /// <summary>Whether a block may be kept here: Invalid, StaleEpoch.</summary>
    private Status Check(V1.StoreHead? head, out BlockName name)
    {
        name = default;
        if (head is null || head.Length is 0 or > Limits.BlockBytes || head.Owner.Length != DriveId.Size || head.Id == 0) { return Status.Invalid; }
        if (head.Spread > ShardOfBlock.MaxSpread) { return Status.Invalid; }
        name = new(DriveId.Read(head.Owner.Span), new(head.Id));
        ShardId shard = ShardOfBlock.Of(name, (int)head.Spread, shardCount);
        if (shard.Value != head.Shard) { return Status.Invalid; }
        if (head.ToPrimary) { return driver.Leads(shard) ? Status.Ok : Status.StaleEpoch; }
        return driver.MayCopy(shard, new(head.Epoch)) ? Status.Ok : Status.StaleEpoch;
    }

    private async ValueTask<V1.CopyReply> StoreAsync(MessageReader<V1.StorePart> reader, ServerCall call)
    {
        if (!await reader.WaitToReadAsync(call.Cancellation) || !reader.TryRead(out V1.StorePart first) || first.Head is not { } head)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, "a block begins with its head");
        }

        if (Check(head, out BlockName name) is var wrong && wrong != Status.Ok) { return Reply(wrong); }
        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)head.Length);
        try
        {
            int filled = 0;
            Status status = Take(first);
            while (status == Status.Ok && await reader.WaitToReadAsync(call.Cancellation))
            {
                while (status == Status.Ok && reader.TryRead(out V1.StorePart part))
                {
                    status = part.Head is null ? Take(part) : Status.Invalid;
                }
            }

            if (status == Status.Ok && filled != head.Length) { status = Status.Invalid; }
            if (status != Status.Ok) { return Reply(status); }
            return Reply(await (head.ToPrimary ? leading : threads).RunAsync(
                () => new ValueTask<Status>(Keep(name, head, buffer.AsSpan(0, filled)))));

            Status Take(V1.StorePart part)
            {
                ReadOnlySpan<byte> data = part.Data.Span;
                if (data.Length > WireLimits.MaxChunkBytes || data.Length > head.Length - filled) { return Status.Invalid; }
                if (part.Crc32C != (data.IsEmpty ? 0 : Crc32C.Compute(data))) { return Status.Corrupt; }
                data.CopyTo(buffer.AsSpan(filled));
                filled += data.Length;
                return Status.Ok;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Keeps a copy, on disk when it returns.</summary>
    private Status Keep(BlockName name, V1.StoreHead head, ReadOnlySpan<byte> content)
    {
        int spread = (int)head.Spread;
        if (head.ToPrimary) { return sender.KeepAsPrimary(name, spread, content, SpaceUse.Data); }
        Status status = blocks.WriteOwnCopy(name, content, SpaceUse.Data);
        if (status == Status.NotFound)
        {
            // The drive's first block came before its records were applied here.
            StorageResult opened = blocks.OpenOrCreateDrive(name.Owner, spread);
            if (!opened.IsOk) { return opened.Status; }
            status = blocks.WriteOwnCopy(name, content, SpaceUse.Data);
        }

        if (status == Status.Ok) { status = sender.SyncOwn(name.Owner, spread); }

        // Who counts and cannot store would hold all others up.
        if (status == Status.IoError) { driver.OnBlocksFailed(); }
        return status;
    }

    private async ValueTask ListAsync(V1.ListRequest request, MessageWriter<V1.ListPart> writer, ServerCall call)
    {
        ShardId shard = WireReplication.ToShard(request.Shard);
        if (driver.BeginList(shard, new(request.Node)) is not { } token)
        {
            writer.Write(new() { Status = V1.Status.StaleEpoch });
            return;
        }

        writer.Write(new() { Token = token });
        foreach ((DriveId owner, int spread) in blocks.ListSpreads())
        {
            if (!ShardOfBlock.ShardsOf(owner, spread, shardCount).Contains(shard)) { continue; }

            // What was written before the list began is in it, also if nobody has asked for its entry yet.
            Status status = blocks.SyncBlocks(owner);
            if (status is not (Status.Ok or Status.NotFound))
            {
                writer.Write(new() { Status = status.ToWire() });
                return;
            }

            V1.ListPart part = new() { Owner = owner.ToWire(), Spread = (uint)spread };
            foreach (BlockId id in Read(owner, spread, shard))
            {
                part.Ids.Add(id.Value);
                if (part.Ids.Count < ListedBlocks) { continue; }
                if (!await writer.WriteAsync(part, call.Cancellation)) { return; }
                part = new() { Owner = part.Owner, Spread = part.Spread };
            }

            writer.Write(part);
        }
    }

    private List<BlockId> Read(DriveId owner, int spread, ShardId shard)
    {
        List<BlockId> ids = [];
        using BlockCursor cursor = blocks.OpenBlockCursor(owner);
        while (cursor.MoveNext())
        {
            if (cursor.Status == Status.Ok && ShardOfBlock.Of(cursor.Name, spread, shardCount) == shard) { ids.Add(cursor.Name.Id); }
        }

        return ids;
    }

    private async ValueTask FetchAsync(V1.FetchRequest request, MessageWriter<V1.FetchPart> writer, ServerCall call)
    {
        if (request.Owner.Length != DriveId.Size)
        {
            writer.Write(new() { Status = V1.Status.Invalid });
            return;
        }

        BlockName name = new(DriveId.Read(request.Owner.Span), new(request.Id));
        Status status = blocks.GetBlockLength(name, out int length);
        if (status == Status.NotFound && blocks.OpenDrive(name.Owner).IsOk)
        {
            // Nobody has asked for anything of the drive since the start.
            status = blocks.GetBlockLength(name, out length);
        }

        if (status != Status.Ok)
        {
            if (status != Status.NotFound) { blocks.Mender.Suspect(name); }
            writer.Write(new() { Status = status.ToWire() });
            return;
        }

        int from = (int)Math.Min(request.Offset, Limits.BlockBytes);
        int wanted = request.Length == 0 ? length - from : (int)Math.Min(request.Length, Limits.BlockBytes);
        if (wanted <= 0 || from > length - wanted)
        {
            writer.Write(new() { Status = V1.Status.Invalid });
            return;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(wanted);
        try
        {
            // Own bytes only: who asks may be the one that would be asked.
            status = blocks.ReadOwnCopy(name, from, buffer.AsSpan(0, wanted));
            if (status != Status.Ok)
            {
                if (status == Status.Corrupt) { blocks.Mender.Suspect(name); }
                if (status == Status.Corrupt && IsUnknown(name)) { status = Status.NotFound; }
                writer.Write(new() { Status = status.ToWire() });
                return;
            }

            for (int offset = 0; offset < wanted; offset += WireLimits.ChunkBytes)
            {
                ReadOnlyMemory<byte> part = buffer.AsMemory(offset, Math.Min(WireLimits.ChunkBytes, wanted - offset));
                writer.Write(new()
                {
                    Length = offset == 0 ? (uint)wanted : 0,
                    Data = UnsafeByteOperations.UnsafeWrap(part),
                    Crc32C = Crc32C.Compute(part.Span),
                });
                if (!await writer.FlushAsync(call.Cancellation)) { return; }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Whether a block is dead by the newest records of its drive: who wants to have all blocks does not need one that is bad.</summary>
    private bool IsUnknown(BlockName name)
    {
        ShardId home = HomeShard.Of(name.Owner, shardCount);
        return blocks.SpreadOf(name.Owner) == 0 && blocks.FindUnknown(name.Owner, [name.Id.Value]).Count > 0 && !driver.HasLoss(home) && driver.TellsWhatIsGone(home);
    }

    private ValueTask<V1.CopyReply> Complete(V1.CompleteRequest request, ServerCall call)
    {
        if (request.Boot.Length != BootId.Size) { return new(Reply(Status.Invalid)); }
        return new(Reply(driver.OnBlocksComplete(
            WireReplication.ToShard(request.Shard), new(request.Node), BootId.Read(request.Boot.Span), request.Token)));
    }

    private ValueTask<V1.CopyReply> Drop(V1.DropRequest request, ServerCall call)
    {
        if (request.Owner.Length != DriveId.Size) { return new(Reply(Status.Invalid)); }
        DriveId owner = DriveId.Read(request.Owner.Span);
        ShardId home = HomeShard.Of(owner, shardCount);
        if (home.Value != request.Shard) { return new(Reply(Status.Invalid)); }

        // Who keeps spread blocks need have no part in the home shard.
        bool mayAsk = request.Spread == 0 ? driver.MayCopy(home, new(request.Epoch)) : driver.IsCurrent(home, new(request.Epoch));
        if (!mayAsk) { return new(Reply(Status.StaleEpoch)); }
        if (request.Ids.Count == 0) { return new(Reply(blocks.DeleteOwnCopy(owner).Status)); }
        BlockId[] ids = [.. request.Ids.Select(static id => new BlockId(id))];
        return new(Reply(blocks.DropOwnCopies(owner, ids)));
    }

    private static V1.CopyReply Reply(Status status) => new() { Status = status.ToWire() };

    private sealed class Storing(BlockCopyService service, BlocksUnderWay blocksUnderWay, V1.StoreBlock sent) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            Status status;
            try
            {
                status = service.Store(sent);
            }
            catch (Exception e) when (e is StorageException or ObjectDisposedException)
            {
                status = Status.IoError;
            }

            foreach ((NodeId from, ulong number) in blocksUnderWay.End(sent)) { service.Answer(from, number, status); }
            sent.Lent?.Dispose();
            service.OnDone();
        }
    }
}
