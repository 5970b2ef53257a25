namespace KvFs.Client;

/// <summary>Tells from the reads of one handle whether it reads on and on, and how far ahead to read for it.</summary>
/// <remarks>Thread safe. A small read counts only if it starts where the last one ended, so that random reads never
/// read ahead; large ones may come a little out of order, because the kernel's own read-ahead is served by several
/// threads.
/// </remarks>
internal sealed class ReadAheadState
{
    /// <summary>Bytes read ahead at first.</summary>
    private const ulong FirstWindowBytes = 1 << 20;

    /// <summary>Bytes read ahead at the most: some 20 ms of a fast disk, so that neither it nor the reader
    /// waits.</summary>
    private const ulong MaxWindowBytes = 16 << 20;

    /// <summary>Bytes that a large read may be away from where it is expected.</summary>
    private const ulong SlackBytes = 2 << 20;

    /// <summary>Bytes of a large read: no program that reads at random asks for as much.</summary>
    private const int LargeBytes = 64 << 10;

    /// <summary>Reads in a row from which on they are a stream.</summary>
    private const int StreamReads = 2;

    private readonly Lock gate = new();
    private ulong expected;
    private ulong ahead;
    private ulong window;
    private int inARow;

    /// <summary>Notes a read; true if [<paramref name="from"/>, <paramref name="to"/>) is to be read ahead.</summary>
    public bool Note(ulong offset, int length, ulong size, out ulong from, out ulong to)
    {
        from = 0;
        to = 0;
        lock (gate)
        {
            ulong distance = offset > expected ? offset - expected : expected - offset;
            if (distance > (length >= LargeBytes ? SlackBytes : 0))
            {
                expected = offset + (ulong)length;
                ahead = 0;
                window = 0;
                inARow = 0;
                return false;
            }

            expected = Math.Max(expected, offset + (ulong)length);
            if (++inARow < StreamReads) { return false; }
            window = Math.Clamp(window * 2, FirstWindowBytes, MaxWindowBytes);
            from = Math.Max(ahead, expected);
            to = Math.Min(size, expected + window);
            return from < to && (to - from >= window / 2 || to == size);
        }
    }

    /// <summary>What lies before an offset is being read.</summary>
    public void Started(ulong upTo)
    {
        lock (gate) { ahead = Math.Max(ahead, upTo); }
    }
}
