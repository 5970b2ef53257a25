using System.Buffers;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>The service of block.proto.</summary>
internal sealed class BlockService(RemoteServices remote, RequestThreads threads, CopyReads copies)
{
    public void AddTo(GrpcServices services)
    {
        services.ClientStreaming(BlockMethods.Write, WriteAsync);
        services.ServerStreaming(BlockMethods.Read, ReadAsync);
        services.Unary(BlockMethods.Prefetch, Prefetch);

        // Beside a socket file there is no port.
        services.Unary(BlockMethods.OfferReads, (_, call) => new ValueTask<V1.OfferReadsReply>(
            new V1.OfferReadsReply { Direct = call.Peer is null ? null : copies.Offer() }));
    }

    private async ValueTask<V1.WriteReply> WriteAsync(MessageReader<V1.WriteChunk> reader, ServerCall call)
    {
        if (!await reader.WaitToReadAsync(call.Cancellation) || !reader.TryRead(out V1.WriteChunk first) || first.Head is null)
        {
            throw new GrpcException(GrpcStatusCode.InvalidArgument, "a block begins with its head");
        }

        // Before a buffer is made for it.
        V1.WriteHead head = first.Head;
        if (remote.Find(head.Key, out Status why) is not { } session) { return Reply(why); }
        if (head.Length is 0 or > Limits.BlockBytes || !TryName(head.Block, out BlockName name) || name.Owner != session.Drive)
        {
            return Reply(Status.Invalid);
        }

        if (session.IsReadOnly) { return Reply(Status.ReadOnly); }
        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)head.Length);
        try
        {
            int filled = 0;
            Status status = Take(first, buffer, (int)head.Length, ref filled);
            while (status == Status.Ok && await reader.WaitToReadAsync(call.Cancellation))
            {
                while (status == Status.Ok && reader.TryRead(out V1.WriteChunk chunk))
                {
                    session.Renew();
                    status = chunk.Head is null ? Take(chunk, buffer, (int)head.Length, ref filled) : Status.Invalid;
                }
            }

            if (status == Status.Ok && filled != head.Length) { status = Status.Invalid; }
            if (status != Status.Ok) { return Reply(status); }
            return Reply(await session.UseAsync(() => session.Blocks.WriteBlockAsync(name, buffer.AsMemory(0, filled))));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask ReadAsync(V1.ReadRequest request, MessageWriter<V1.ReadChunk> writer, ServerCall call)
    {
        if (remote.Find(request.Key, out Status why) is not { } session)
        {
            writer.Write(new() { Status = why.ToWire() });
            return;
        }

        if (request.Length is 0 or > Limits.BlockBytes || request.Offset > Limits.BlockBytes
            || !TryName(request.Block, out BlockName name))
        {
            writer.Write(new() { Status = V1.Status.Invalid });
            return;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)request.Length);
        try
        {
            Memory<byte> content = buffer.AsMemory(0, (int)request.Length);
            Status status = await session.UseAsync(() => session.Blocks.ReadBlockAsync(name, request.Offset, content));
            if (status != Status.Ok)
            {
                writer.Write(new() { Status = status.ToWire() });
                return;
            }

            while (!content.IsEmpty)
            {
                Memory<byte> part = content[..Math.Min(content.Length, WireLimits.ChunkBytes)];
                content = content[part.Length..];

                // Written, not kept: the buffer is free again when Write returns.
                writer.Write(new() { Data = UnsafeByteOperations.UnsafeWrap(part), Crc32C = Crc32C.Compute(part.Span) });
                if (!await writer.FlushAsync(call.Cancellation)) { return; }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask<V1.PrefetchReply> Prefetch(V1.PrefetchRequest request, ServerCall call)
    {
        if (remote.Find(request.Key, out _) is { } session
            && request.Offset < Limits.BlockBytes
            && request.Length is > 0 and <= Limits.BlockBytes
            && TryName(request.Block, out BlockName name))
        {
            await threads.RunAsync(() =>
            {
                session.Blocks.Prefetch(name, request.Offset, request.Length);
                return new ValueTask<bool>(true);
            });
        }

        return new();
    }

    private static Status Take(V1.WriteChunk chunk, byte[] buffer, int length, ref int filled)
    {
        ReadOnlySpan<byte> data = chunk.Data.Span;
        if (data.Length > WireLimits.MaxChunkBytes || data.Length > length - filled) { return Status.Invalid; }
        if (chunk.Crc32C != (data.IsEmpty ? 0 : Crc32C.Compute(data))) { return Status.Corrupt; }
        data.CopyTo(buffer.AsSpan(filled));
        filled += data.Length;
        return Status.Ok;
    }

    internal static bool TryName(V1.BlockName? name, out BlockName block)
    {
        block = default;
        if (name is null || name.Owner.Length != DriveId.Size || name.Id == 0) { return false; }
        block = new(DriveId.Read(name.Owner.Span), new(name.Id));
        return true;
    }

    private static V1.WriteReply Reply(Status status) => new() { Status = status.ToWire() };
}
