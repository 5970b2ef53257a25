using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KvFs.Grpc.Authority;

/// <summary>Lets clients in that send what no host name is as their <c>:authority</c>.</summary>
/// <remarks>Older grpc-go, which old kubelets and CSI sidecars speak, sends the path of the Unix socket there; Kestrel
/// resets such streams. For listeners on Unix sockets, where the authority means nothing.</remarks>
internal static class AuthorityRepair
{
    public static void UseAuthorityRepair(this ListenOptions listener) => listener.Use(next => async connection =>
    {
        IDuplexPipe original = connection.Transport;
        connection.Transport = new RepairedTransport(new AuthorityRepairReader(original.Input), original.Output);
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            connection.Transport = original;
        }
    });

    private sealed record RepairedTransport(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}

/// <summary>Shows its reader only bytes that the scanner has let pass. Nothing is copied.</summary>
internal sealed class AuthorityRepairReader(PipeReader inner) : PipeReader
{
    private readonly FrameScanner scanner = new();
    private ReadOnlySequence<byte> offered;

    /// <summary>Bytes at the start of the inner reader's buffer that were let pass already.</summary>
    private long passed;
    private bool examinedAll = true;

    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            ReadResult result = await inner.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (TryOffer(result, out ReadResult offer)) { return offer; }
            inner.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    public override bool TryRead(out ReadResult result)
    {
        while (inner.TryRead(out ReadResult read))
        {
            if (TryOffer(read, out result)) { return true; }
            inner.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
        result = default;
        return false;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        passed = offered.Slice(consumed).Length;
        examinedAll = offered.Slice(examined).IsEmpty;
        inner.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    private bool TryOffer(ReadResult result, out ReadResult offer)
    {
        long before = passed;
        passed += scanner.Scan(result.Buffer.Slice(passed));
        // What the peer leaves unfinished is the server's to judge.
        if (result.IsCompleted) { passed = result.Buffer.Length; }
        offered = result.Buffer.Slice(0, passed);
        offer = new ReadResult(offered, result.IsCanceled, result.IsCompleted);
        return passed > before || !examinedAll || result.IsCompleted || result.IsCanceled;
    }
}
