namespace KvFs.Node.Remote;

/// <summary>Whether what a session reads of blocks is in memory: then it is read on the thread that takes the session's requests, because
/// to hand it to another one costs more than the read.</summary>
/// <remarks>Thread safe. That is believed after so many quick reads in a row, until one is slow: a read that waits for the disk keeps
/// the requests behind it waiting once, and those that follow are handed over again.</remarks>
internal sealed class QuickReads
{
    /// <summary>Of one read: longer ones take long wherever they come from.</summary>
    public const int MaxBytes = 64 << 10;

    /// <summary>Quick reads in a row.</summary>
    private const int Enough = 32;

    /// <summary>What 64 KiB from memory, compared with their checksum, take less than, and a disk seldom does.</summary>
    private static readonly TimeSpan s_quick = TimeSpan.FromMicroseconds(100);

    private int inRow;

    public bool ComeFromMemory => Volatile.Read(ref inRow) >= Enough;

    public void Note(TimeSpan took)
    {
        if (took > s_quick) { Volatile.Write(ref inRow, 0); }
        else if (!ComeFromMemory) { Interlocked.Increment(ref inRow); }
    }
}
