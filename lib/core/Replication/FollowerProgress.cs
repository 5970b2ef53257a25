namespace KvFs.Core;

/// <summary>What a primary knows of one node that gets its log.</summary>
internal sealed class FollowerProgress
{
    /// <summary>The last entries of messages that are not known to have arrived, the oldest first.</summary>
    private readonly Queue<LogIndex> underWay = new();

    /// <summary>The process that it speaks of: what another one of the node has is another matter.</summary>
    public BootId Boot { get; set; }

    /// <summary>It has the primary's log up to here.</summary>
    public LogIndex Matched { get; private set; }

    /// <summary>It has that on disk up to here.</summary>
    public LogIndex Durable { get; private set; }

    /// <summary>The next entry to send.</summary>
    public LogIndex Next { get; private set; }

    /// <summary>Messages with entries that are not known to have arrived.</summary>
    public int MessagesUnderWay => underWay.Count;

    /// <summary>Nothing is sent but the question whether it has the entry before <see cref="Next"/>.</summary>
    public bool IsProbing { get; set; }

    /// <summary>When something was sent that is to be answered; null: nothing is owed.</summary>
    public TimeSpan? OwesSince { get; set; }

    /// <summary>When what it owes was last sent once more.</summary>
    public TimeSpan ResentAt { get; set; }

    /// <summary>When something was last sent.</summary>
    public TimeSpan SentAt { get; set; }

    /// <summary>When it was last sent a snapshot.</summary>
    public TimeSpan? SnapshotSentAt { get; set; }

    /// <summary>Begins anew: nothing is known but where to ask first.</summary>
    public void Restart(BootId boot, LogIndex next)
    {
        Boot = boot;
        Matched = Durable = default;
        SendFrom(next);
        IsProbing = true;
        OwesSince = SnapshotSentAt = null;
    }

    /// <summary>A message with so many entries goes out.</summary>
    public void OnSent(int count)
    {
        Next = new(Next.Value + (ulong)count);
        underWay.Enqueue(new(Next.Value - 1));
    }

    /// <summary>What was sent from here on is sent again: it is not waited for.</summary>
    public void SendFrom(LogIndex next)
    {
        Next = next;
        underWay.Clear();
    }

    /// <summary>It answered.</summary>
    public void OnReply(AppendReply reply, TimeSpan now)
    {
        bool isNews = reply.Matched > Matched || reply.Durable > Durable || IsProbing;
        if (reply.Matched > Matched) { Matched = reply.Matched; }
        if (reply.Durable > Durable) { Durable = reply.Durable; }

        // What was sent before the question may not have been taken.
        if (IsProbing) { SendFrom(Matched.Next); }
        IsProbing = false;
        while (underWay.TryPeek(out LogIndex end) && end <= Matched) { underWay.Dequeue(); }
        if (Next <= Matched) { Next = Matched.Next; }
        if (Matched.Next >= Next) { OwesSince = null; }
        else if (isNews) { OwesSince = now; }
    }
}
