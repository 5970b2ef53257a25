using Google.Protobuf;
using KvFs.Core;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Remote;

/// <summary>Blocks of nodes in other processes, over gRPC.</summary>
/// <remarks>Thread safe. Reading and writing may be repeated, and are, wherever the session is served, until they are answered, it
/// is over, or the time of a request is (Unavailable). What is damaged on its way is sent again.</remarks>
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

    public ValueTask<Status> WriteBlockAsync(BlockName name, ReadOnlyMemory<byte> content)
    {
        if (content.Length is 0 or > Limits.BlockBytes) { return new(Status.Invalid); }
        Deadline deadline = session.NewDeadline();
        return content.Length <= WireLimits.WholeBlockBytes && name.Owner == session.Key.Drive.ToDriveId()
            ? AskAsync(name, content, deadline)
            : WriteAloneAsync(name, content, deadline);
    }

    public ValueTask<Status> ReadBlockAsync(BlockName name, uint offset, Memory<byte> destination)
    {
        if (destination.IsEmpty) { return new(Status.Ok); }
        if (destination.Length > Limits.BlockBytes) { return new(Status.Invalid); }
        Deadline deadline = session.NewDeadline();
        return near?.Find(name, session.Spread) is { } copy
            ? ReadNearAsync(near, copy, name, offset, destination, deadline)
            : AskAsync(name, offset, destination, deadline);
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
    private async ValueTask<Status> AskAsync(BlockName name, ReadOnlyMemory<byte> content, Deadline deadline)
    {
        // Lent until the answer, which comes in any case before this ends; unless it is not waited for.
        ByteString data = deadline.IsNone ? UnsafeByteOperations.UnsafeWrap(content) : ByteString.CopyFrom(content.Span);
        V1.WriteBlock write = new() { Id = name.Id.Value, Data = data, Crc32C = Crc32C.Compute(content.Span) };
        Status status = Status.Corrupt;
        for (int damaged = 0; status == Status.Corrupt && damaged < Attempts; damaged++)
        {
            status = (await session.AskAsync(new() { WriteBlock = write }, deadline)).Status.ToCore();
        }

        return status;
    }

    /// <summary>Reads from a copy that is nearer than the primary's; what that one cannot give, from the primary.</summary>
    private async ValueTask<Status> ReadNearAsync(
        NearCopies copies, CopyStream copy, BlockName name, uint offset, Memory<byte> destination, Deadline deadline)
    {
        Status given = await copy.ReadAsync(session.Key, name, offset, destination);
        if (given == Status.Ok) { return given; }
        Status status = await AskAsync(name, offset, destination, deadline);

        // Not to blame: for what nobody has any more, and for not knowing a new session yet.
        bool isNew = given == Status.SessionExpired && options.AwakeClock.GetElapsedTime(openedAt) < options.NearPause;
        if (status == Status.Ok && !isNew) { copies.OnFailed(copy); }
        return status;
    }

    /// <summary>Reads on the session's stream: a call of its own costs more than all that is read for it.</summary>
    private async ValueTask<Status> AskAsync(BlockName name, uint offset, Memory<byte> destination, Deadline deadline)
    {
        V1.ReadBlock read = new() { Id = name.Id.Value, Offset = offset, Length = (uint)destination.Length };
        if (name.Owner != session.Key.Drive.ToDriveId()) { read.Owner = name.Owner.ToWire(); }
        Pauses? pauses = null;
        Deadline patience = deadline;
        for (int damaged = 0; damaged < Attempts;)
        {
            V1.Answer answer = await session.AskAsync(new() { ReadBlock = read }, deadline);
            using AttachedBytes? lent = answer.Lent;
            Status status = answer.Status != V1.Status.Ok ? answer.Status.ToCore() : answer.Range.CopyTo(destination.Span);
            if (status == Status.Corrupt && answer.Status == V1.Status.Ok)
            {
                damaged++;
                continue;
            }

            if (status != Status.Busy) { return status; }

            // It lies on a shard that nobody serves now: waited for as for that of the drive itself.
            if (pauses is null && deadline.IsNone) { patience = Deadline.After(options.ResumeTime, options.AwakeClock); }
            if (patience.HasPassed) { return Status.Unavailable; }
            pauses ??= new(options);
            await pauses.NextAsync(patience.Within(options.MaxPause), CancellationToken.None);
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

    private async ValueTask<Status> WriteAloneAsync(BlockName name, ReadOnlyMemory<byte> content, Deadline deadline)
    {
        Pauses pauses = new(options);
        for (int damaged = 0; !session.IsOver;)
        {
            try
            {
                Status status = await WriteOnceAsync(session.Link, name, content, deadline);
                if (status != Status.StaleEpoch && (status != Status.Corrupt || ++damaged == Attempts)) { return status; }
            }
            catch (OperationCanceledException)
            {
                // The session's stream broke: the next one may go elsewhere.
            }
            catch (GrpcException e) when (CallFailure.ToStatus(e, changes: true) != Status.Unknown)
            {
                return CallFailure.ToStatus(e, changes: true);
            }
            catch (GrpcException)
            {
                // The node was not reached, or broke off: as long as there is a session, it may be in a moment.
            }

            // Its session has a primary again at any moment.
            if (deadline.HasPassed) { return Status.Unavailable; }
            await pauses.NextAsync(deadline.Within(options.MaxPauseAtFirst), CancellationToken.None);
        }

        return Status.SessionExpired;
    }

    private async ValueTask<Status> WriteOnceAsync(SessionLink link, BlockName name, ReadOnlyMemory<byte> content, Deadline deadline)
    {
        GrpcCallOptions timed = deadline.Left is { } left ? new() { Limits = WireLimits.OfClient, Timeout = left } : s_call;
        using GrpcCall<V1.WriteChunk, V1.WriteReply> call = link.Channel.Start(BlockMethods.Write, timed, link.Broken);
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
