using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>A frame that is no more than its header: cancel, ping, pong, drain.</summary>
internal sealed class Bare(FrameKind kind) : Outgoing
{
    private int isWaiting;
    private ulong request;

    internal override bool IsUrgent => true;

    /// <summary>Gets ready to be sent; false if it still waits to be sent for the last time.</summary>
    public bool TryBegin(ulong id)
    {
        if (Interlocked.Exchange(ref isWaiting, 1) != 0) { return false; }
        request = id;
        return true;
    }

    internal override int PutFrame(Span<byte> head, out ReadOnlyMemory<byte> payload)
    {
        payload = default;
        int length = BareFrame.Put(kind, request, head);
        Volatile.Write(ref isWaiting, 0);
        return length;
    }

    internal override bool OnSent() => false;

    internal override void OnDropped() => Volatile.Write(ref isWaiting, 0);
}
