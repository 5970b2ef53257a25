using KvFs.Core;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Client;

/// <summary>What a server sends. One thread.</summary>
internal sealed partial class ClientConnection
{
    protected override string? OnHead(
        in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> expected, ref PayloadPlace payload)
    {
        switch (header.Kind)
        {
            case FrameKind.Data: return OnData(header, head, expected, ref payload);
            case FrameKind.Answer:
                return AnswerFrame.Get(header, head, out BlockAnswer answer) ?? OnAnswer(header.Request, answer);
            case FrameKind.Pong: return BareFrame.Check(header) ?? OnPong(header.Request);
            case FrameKind.Drain: return BareFrame.Check(header) ?? OnDrain();
            case FrameKind.Bye:
                string? wrong = ByeFrame.Get(header, head, out Status status, out string reason);
                if (wrong is null) { Leave(new(status, $"the server left: {reason}")); }
                return wrong;
            default:
                return $"a server sends no frames of kind {(byte)header.Kind}";
        }
    }

    protected override string? OnPayload(bool isIntact)
    {
        ClientRequest request = receiving!;
        receiving = null;
        lock (gate)
        {
            request.IsReceiving = false;
            request.IsDamaged |= !isIntact;
            if (receivesLast) { request.Close(BlockAnswer.Ok); }
        }

        Settle(request);
        return null;
    }

    private string? OnData(in FrameHeader header, ReadOnlySpan<byte> head, Span<uint> expected, ref PayloadPlace payload)
    {
        string? wrong = ChunkFrame.Get(header, head, expected, out uint offset);
        if (wrong is not null) { return wrong; }
        ClientRequest? request;
        bool isLast = (header.Flags & ChunkFrame.Last) != 0;
        lock (gate)
        {
            request = Find(header.Request);
            if (request is not { IsWrite: false, HasLeft: true, IsAnswered: false })
            {
                return $"no read {header.Request} waits for data";
            }

            if (offset != request.NextOffset) { return $"data at {offset} where {request.NextOffset} is next"; }
            wrong = ChunkFrame.Misfit(offset, header.PayloadBytes, request.End);
            if (wrong is not null) { return wrong; }
            if (isLast != (offset + (uint)header.PayloadBytes == request.End))
            {
                return "the last data of a read are not where its end is";
            }

            if (request.Abandoned == Abandonment.None)
            {
                request.IsReceiving = true;
                receiving = request;
                receivesLast = isLast;
                payload = new(request.TakePlace(header.PayloadBytes, expected), offset);
                return null;
            }

            request.Skip(header.PayloadBytes);
            if (isLast) { request.Close(BlockAnswer.Ok); }
        }

        Settle(request);
        return null;
    }

    private string? OnAnswer(ulong id, BlockAnswer answer)
    {
        ClientRequest? request;
        lock (gate)
        {
            request = Find(id);
            if (request is not { HasLeft: true, IsAnswered: false }) { return $"no request {id} waits for an answer"; }
            if (answer.IsOk && !request.IsWrite) { return "a read is answered by its data, or why there are none"; }
            request.Close(answer);
        }

        Settle(request);
        return null;
    }

    private string? OnDrain()
    {
        List<ClientRequest> unsent = [];
        lock (gate)
        {
            isDraining = true;
            unsent.AddRange(waitingReads);
            unsent.AddRange(waitingWrites);
            AbandonAll(unsent, Abandonment.ConnectionEnded);
        }

        foreach (ClientRequest request in unsent) { Settle(request); }
        return null;
    }
}
