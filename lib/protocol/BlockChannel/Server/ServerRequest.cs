using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>A request of a client, and its answer as something to be sent.</summary>
/// <remarks>Its state belongs to the connection's gate. It leaves the connection's table when its answer is put into a frame,
/// so a client that takes no answers gets no more requests in.</remarks>
internal class ServerRequest(ServerConnection connection) : Outgoing
{
    private CancellationTokenSource? cancelling;

    public ulong Id { get; private set; }

    /// <summary>The client has cancelled it, or the connection has ended.</summary>
    public bool IsCancelled { get; private set; }

    /// <summary>What is, or will be, answered.</summary>
    public BlockAnswer Answer { get; private set; }

    /// <summary>The answer waits to be sent, or was sent.</summary>
    public bool IsAnswered { get; private set; }

    /// <summary>The answer is in a frame.</summary>
    public bool HasAnswerLeft { get; set; }

    internal override bool IsUrgent => true;

    protected ServerConnection Connection => connection;

    /// <summary>Begins a life.</summary>
    public void Begin(ulong id)
    {
        Id = id;
        Answer = default;
        IsAnswered = false;
        HasAnswerLeft = false;
    }

    /// <summary>Has its answer, which is to be sent now.</summary>
    public void Close(BlockAnswer answer)
    {
        Answer = answer;
        IsAnswered = true;
    }

    /// <summary>Whether it may have another life: nobody else knows of it any more.</summary>
    public bool Renew() => !IsCancelled && (cancelling is null || cancelling.TryReset());

    /// <summary>A token for the handler. Called under the gate.</summary>
    public CancellationToken Token()
    {
        cancelling ??= new();
        return cancelling.Token;
    }

    /// <summary>Notes that the client has gone; answers what to cancel once the gate is let go.</summary>
    public CancellationTokenSource? Cancel()
    {
        if (IsCancelled) { return null; }
        IsCancelled = true;
        return cancelling;
    }

    internal override int PutFrame(Span<byte> head, out ReadOnlyMemory<byte> payload)
    {
        payload = default;
        connection.OnAnswerLeaves(this);
        return AnswerFrame.Put(Id, Answer, head);
    }

    internal override bool OnSent()
    {
        connection.OnAnswerGone(this);
        return false;
    }

    internal override void OnDropped()
    {
    }
}
