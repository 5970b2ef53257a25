namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>Something that has frames to send: one after the other, each when its turn comes.</summary>
/// <remarks>In the queue of one <see cref="FrameSender"/> at the most once. The sender calls without a lock held.</remarks>
internal abstract class Outgoing
{
    /// <summary>The next in the sender's queue, which owns this.</summary>
    internal Outgoing? Behind { get; set; }

    /// <summary>Small: goes before those that are not, within measure.</summary>
    internal abstract bool IsUrgent { get; }

    /// <summary>Writes the head of the next frame.</summary>
    /// <param name="head">Room for the longest head.</param>
    /// <param name="payload">What follows the head; the sender's until <see cref="OnSent"/> or <see cref="OnDropped"/>.</param>
    /// <returns>Bytes of the head; 0: there is nothing to send any more, and no other call follows.</returns>
    internal abstract int PutFrame(Span<byte> head, out ReadOnlyMemory<byte> payload);

    /// <summary>The frame is out of the sender's hands.</summary>
    /// <returns>Whether there is another one, which waits behind those of others. If not, the sender has let go of this.
    /// </returns>
    internal abstract bool OnSent();

    /// <summary>The connection is closed; what was not sent, or not wholly, never will be. The sender has let go of this.
    /// </summary>
    internal abstract void OnDropped();
}

/// <summary>A queue of <see cref="Outgoing"/> that needs no memory.</summary>
internal struct OutgoingQueue
{
    private Outgoing? first;
    private Outgoing? last;

    public readonly bool IsEmpty => first is null;

    public void Add(Outgoing item)
    {
        if (last is null) { first = item; }
        else { last.Behind = item; }
        last = item;
    }

    public Outgoing? Take()
    {
        Outgoing? item = first;
        if (item is null) { return null; }
        first = item.Behind;
        if (first is null) { last = null; }
        item.Behind = null;
        return item;
    }
}
