using Google.Protobuf;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>Blocks of nodes in other processes, over gRPC.</summary>
/// <remarks>Thread safe. Reading and writing may be repeated, and are, wherever the session is served, until they are answered or it
/// is over. What is damaged on its way is sent again.</remarks>
internal sealed class RemoteBlockService(SessionConnection session, NearCopies? near, RemoteClientOptions options)
    : IBlockService
{
    /// <summary>Prefetches on their way: more are not worth it.</summary>
    private const int MaxPrefetches = 16;

    /// <summary>How often content that arrives with another checksum is asked for, or sent.</summary>
    private const int Attempts = 3;

    private static readonly GrpcCallOptions s_call = new() { Limits = WireLimits.OfClient };

    private readonly long openedAt = options.AwakeClock.GetTimestamp();
    private int prefetches;

    public ValueTask<Status> WriteBlockAsync(BlockName name, ReadOnlyMemory<byte> content) =>
        content.Length is 0 or > Limits.BlockBytes
            ? new(Status.Invalid)
            : content.Length <= WireLimits.WholeBlockBytes && name.Owner == session.Key.Drive.ToDriveId()
                ? AskAsync(name, content)
                : RepeatAsync(link => WriteOnceAsync(link, name, content));

    public ValueTask<Status> ReadBlockAsync(BlockName name, uint offset, Memory<byte> destination)
    {
        if (destination.IsEmpty) { return new(Status.Ok); }
        if (destination.Length > Limits.BlockBytes) { return new(Status.Invalid); }
        return near?.Find(name, session.Spread) is { } copy
            ? ReadNearAsync(near, copy, name, offset, destination)
            : AskAsync(name, offset, destination);
    }

    public void Prefetch(BlockName name, uint offset, uint length)
    {
        if (Interlocked.Increment(ref prefetches) > MaxPrefetches)
        {
            Interlocked.Decrement(ref prefetches);
            return;
        }

        _ = PrefetchAsync(new() { Key = session.Key, Block = ToWire(name), Offset = offset, Length = length });
    }

    /// <summary>Writes on the session's stream.</summary>
    private async ValueTask<Status> AskAsync(BlockName name, ReadOnlyMemory<byte> content)
    {
        // Lent until the answer, which comes in any case before this ends.
        V1.WriteBlock write = new()
        {
            Id = name.Id.Value, Data = UnsafeByteOperations.UnsafeWrap(content), Crc32C = Crc32C.Compute(content.Span),
        };
        Status status = Status.Corrupt;
        for (int damaged = 0; status == Status.Corrupt && damaged < Attempts; damaged++)
        {
            status = (await session.AskAsync(new() { WriteBlock = write })).Status.ToCore();
        }

        return status;
    }

    /// <summary>Reads from a copy that is nearer than the primary's; what that one cannot give, from the primary.</summary>
    private async ValueTask<Status> ReadNearAsync(
        NearCopies copies, CopyStream copy, BlockName name, uint offset, Memory<byte> destination)
    {
        Status given = await copy.ReadAsync(session.Key, name, offset, destination);
        if (given == Status.Ok) { return given; }
        Status status = await AskAsync(name, offset, destination);

        // Not to blame: for what nobody has any more, and for not knowing a new session yet.
        bool isNew = given == Status.SessionExpired && options.AwakeClock.GetElapsedTime(openedAt) < options.NearPause;
        if (status == Status.Ok && !isNew) { copies.OnFailed(copy); }
        return status;
    }

    /// <summary>Reads on the session's stream: a call of its own costs more than all that is read for it.</summary>
    private async ValueTask<Status> AskAsync(BlockName name, uint offset, Memory<byte> destination)
    {
        V1.ReadBlock read = new() { Id = name.Id.Value, Offset = offset, Length = (uint)destination.Length };
        if (name.Owner != session.Key.Drive.ToDriveId()) { read.Owner = name.Owner.ToWire(); }
        Pauses? pauses = null;
        long refusedAt = 0;
        for (int damaged = 0; damaged < Attempts;)
        {
            V1.Answer answer = await session.AskAsync(new() { ReadBlock = read });
            using AttachedBytes? lent = answer.Lent;
            Status status = answer.Status != V1.Status.Ok ? answer.Status.ToCore() : answer.Range.CopyTo(destination.Span);
            if (status == Status.Corrupt && answer.Status == V1.Status.Ok)
            {
                damaged++;
                continue;
            }

            if (status != Status.Busy) { return status; }

            // It lies on a shard that nobody serves now: waited for as for that of the drive itself.
            if (pauses is null) { refusedAt = options.AwakeClock.GetTimestamp(); }
            else if (options.AwakeClock.GetElapsedTime(refusedAt) > options.ResumeTime) { return status; }
            pauses ??= new(options);
            await pauses.NextAsync(CancellationToken.None);
        }

        return Status.Corrupt;
    }

    private async Task PrefetchAsync(V1.PrefetchRequest request)
    {
        try
        {
            SessionLink link = session.Link;
            await link.Channel.UnaryAsync(BlockMethods.Prefetch, request, s_call, link.Broken);
        }
        catch (Exception e) when (e is GrpcException or OperationCanceledException)
        {
            // Nothing depends on it.
        }
        finally
        {
            Interlocked.Decrement(ref prefetches);
        }
    }

    private async ValueTask<Status> RepeatAsync(Func<SessionLink, ValueTask<Status>> once)
    {
        Pauses pauses = new(options);
        for (int damaged = 0; !session.IsOver;)
        {
            try
            {
                Status status = await once(session.Link);
                if (status != Status.StaleEpoch && (status != Status.Corrupt || ++damaged == Attempts)) { return status; }
            }
            catch (OperationCanceledException)
            {
                // The session's stream broke: the next one may go elsewhere.
            }
            catch (GrpcException e) when (CallFailure.ToStatus(e, changes: true) is not (Status.Unknown or Status.Busy))
            {
                return CallFailure.ToStatus(e, changes: true);
            }
            catch (GrpcException)
            {
                // The node was not reached, or broke off: as long as there is a session, it may be in a moment.
            }

            // Its session has a primary again at any moment.
            await pauses.NextAsync(options.MaxPauseAtFirst, CancellationToken.None);
        }

        return Status.SessionExpired;
    }

    private async ValueTask<Status> WriteOnceAsync(SessionLink link, BlockName name, ReadOnlyMemory<byte> content)
    {
        using GrpcCall<V1.WriteChunk, V1.WriteReply> call =
            link.Channel.Start(BlockMethods.Write, s_call, link.Broken);
        V1.WriteHead? head = new() { Key = session.Key, Block = ToWire(name), Length = (uint)content.Length };
        while (!content.IsEmpty)
        {
            ReadOnlyMemory<byte> part = content[..Math.Min(content.Length, WireLimits.ChunkBytes)];
            content = content[part.Length..];
            call.Requests!.Write(new()
            {
                Head = head,
                Data = UnsafeByteOperations.UnsafeWrap(part),
                Crc32C = Crc32C.Compute(part.Span),
            });
            head = null;
            if (!await call.Requests.FlushAsync(link.Broken)) { break; }
        }

        await call.CompleteAsync();
        return (await call.ReadOnlyOneAsync()).Status.ToCore();
    }

    private static V1.BlockName ToWire(BlockName name) => new() { Owner = name.Owner.ToWire(), Id = name.Id.Value };
}
