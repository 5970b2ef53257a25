using System.Runtime.Versioning;
using Google.Protobuf;
using Google.Protobuf.Collections;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Node.Remote;
using KvFs.Node.Storage;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Replication;

/// <summary>What a copy tells its primary of its blocks, and mends for it: Compare and Mend of replication.proto.</summary>
[SupportedOSPlatform("linux")]
internal sealed class BlockCompareService(ReplicationDriver driver, BlockStore blocks, int shardCount) : IDisposable
{
    /// <summary>Blocks of one request to mend: each may have to be fetched.</summary>
    internal const int MaxMended = 64;

    /// <summary>Blocks in one part of a list.</summary>
    private const int ListedBlocks = 10_000;

    /// <summary>Requests that are worked on at once: they go behind what clients want.</summary>
    private const int Threads = 2;

    private readonly RequestThreads threads = new(Threads);

    public void AddTo(GrpcServices services)
    {
        services.ServerStreaming(BlockCopyMethods.Compare, CompareAsync);
        services.Unary(BlockCopyMethods.Mend, MendAsync);
    }

    public void Dispose() => threads.Dispose();

    private async ValueTask CompareAsync(V1.CompareRequest request, MessageWriter<V1.ComparePart> writer, ServerCall call)
    {
        if (Check(request.Shard, request.Epoch, request.Owner, request.Spread, out DriveId owner) is var wrong && wrong != Status.Ok)
        {
            writer.Write(new() { Status = wrong.ToWire() });
            return;
        }

        BlockSetDigest digest = default;
        V1.ComparePart part = new();
        ulong from = request.First;
        bool isDone = false;
        while (!isDone)
        {
            isDone = Read(owner, request, part, ref from, ref digest);
            if (isDone)
            {
                part.Count = digest.Count;
                part.Sum = digest.Sum;
            }

            if (!isDone && !request.Listed) { continue; }
            if (!await writer.WriteAsync(part, call.Cancellation)) { return; }
            part = new();
        }
    }

    /// <summary>Reads some of the range; true: to its end.</summary>
    private bool Read(DriveId owner, V1.CompareRequest request, V1.ComparePart part, ref ulong from, ref BlockSetDigest digest)
    {
        using BlockCursor cursor = blocks.OpenBlockCursor(owner, new(from));
        for (int read = 0; read < ListedBlocks; read++)
        {
            if (!cursor.MoveNext() || cursor.Name.Id.Value > request.Last) { return true; }
            from = cursor.Name.Id.Value + 1;
            if (cursor.Entry is not { } entry) { continue; }
            if (request.Spread != 0 && ShardOfBlock.Of(cursor.Name, (int)request.Spread, shardCount).Value != request.OfShard) { continue; }
            ulong hash = BlockSetDigest.HashOf(cursor.Name.Id, entry);
            digest = digest.With(hash);
            if (!request.Listed) { continue; }
            part.Ids.Add(cursor.Name.Id.Value);
            part.Hashes.Add(hash);
            part.Lengths.Add((uint)entry.Length);
        }

        return false;
    }

    private async ValueTask<V1.CopyReply> MendAsync(V1.MendRequest request, ServerCall call)
    {
        Status status = Check(request.Shard, request.Epoch, request.Owner, request.Spread, out DriveId owner);
        if (status == Status.Ok && request.Ids.Count > MaxMended) { status = Status.Invalid; }
        if (status == Status.Ok) { status = await threads.RunAsync(() => new ValueTask<Status>(Mend(owner, (int)request.Spread, request.Ids))); }
        return new() { Status = status.ToWire() };
    }

    private Status Mend(DriveId owner, int spread, RepeatedField<ulong> ids)
    {
        Status worst = Status.Ok;
        foreach (ulong id in ids)
        {
            BlockName block = new(owner, new(id));
            Status status = spread == 0 ? blocks.Mender.Mend(block) : blocks.Mender.MendNamed(block, spread);
            if (status != Status.Ok) { worst = status; }
        }

        return worst;
    }

    private Status Check(uint inShard, ulong epoch, ByteString ownerBytes, uint spread, out DriveId owner)
    {
        owner = default;
        if (ownerBytes.Length != DriveId.Size || spread > ShardOfBlock.MaxSpread) { return Status.Invalid; }
        owner = DriveId.Read(ownerBytes.Span);
        ShardId shard = HomeShard.Of(owner, shardCount);
        if (shard.Value != inShard) { return Status.Invalid; }

        // Who keeps spread blocks need have no part in the home shard.
        bool mayAsk = spread == 0 ? driver.MayCopy(shard, new(epoch)) : driver.IsCurrent(shard, new(epoch));
        return mayAsk ? Status.Ok : Status.StaleEpoch;
    }
}
