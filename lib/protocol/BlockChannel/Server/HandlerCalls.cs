using System.Runtime.CompilerServices;
using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>Calls the handler, and makes an answer of whatever it does.</summary>
internal sealed class HandlerCalls(IBlockChannelHandler handler, TimeProvider clock, Action<Exception>? failed)
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<BlockAnswer> WriteAsync(
        FrameConnection connection,
        BlockWrite write,
        ReadOnlyMemory<byte> content,
        ReadOnlyMemory<uint> checksums,
        Deadline deadline,
        CancellationToken token)
    {
        if (TooLate(connection, deadline, token) is { } late) { return late; }
        try
        {
            return await handler.WriteAsync(write, content, checksums, token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            return BlockAnswer.Of(Status.Unknown);
        }
#pragma warning disable CA1031 // Whatever a handler throws ends its own request only.
        catch (Exception e)
#pragma warning restore CA1031
        {
            failed?.Invoke(e);
            return BlockAnswer.Of(Status.Unknown);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<BlockAnswer> ReadAsync(
        FrameConnection connection,
        BlockRead read,
        int behind,
        Memory<byte> destination,
        Memory<uint> checksums,
        Deadline deadline,
        CancellationToken token)
    {
        if (TooLate(connection, deadline, token) is { } late) { return late; }
        try
        {
            return await handler.ReadAsync(read, behind, destination, checksums, token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            return GivenUp(connection);
        }
#pragma warning disable CA1031 // Whatever a handler throws ends its own request only.
        catch (Exception e)
#pragma warning restore CA1031
        {
            failed?.Invoke(e);
            return BlockAnswer.Of(Status.IoError);
        }
    }

    /// <summary>Tells a handler that nobody waits for it any more. What it does thereupon ends nothing else.</summary>
    public void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (AggregateException e)
        {
            failed?.Invoke(e);
        }
    }

    /// <summary>What nobody waits for any more is not begun.</summary>
    private BlockAnswer? TooLate(FrameConnection connection, Deadline deadline, CancellationToken token)
    {
        if (token.IsCancellationRequested) { return GivenUp(connection); }
        return deadline.IsPast(clock) ? BlockAnswer.Of(Status.TimedOut) : null;
    }

    /// <summary>What is answered in place of what was not done. An end of the connection has nobody's cancel behind it: a client
    /// that hears of it before the end has a request to send again, to this node or to another.</summary>
    private static BlockAnswer GivenUp(FrameConnection connection) =>
        BlockAnswer.Of(connection.End is null ? Status.Interrupted : Status.Unavailable);
}
