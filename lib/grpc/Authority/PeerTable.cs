namespace KvFs.Grpc.Authority;

/// <summary>Of the dynamic table that a peer has built up: how large its entries are, and which of them are named
/// <c>:authority</c>.</summary>
/// <remarks>Sizes are those that the peer counts. The newest entry has the index 62. Source: RFC 7541, sections 2.3, 4 and
/// appendix A.</remarks>
internal sealed class PeerTable
{
    /// <summary>SETTINGS_HEADER_TABLE_SIZE as it is unless somebody says otherwise, and Kestrel does not.</summary>
    public const int MaxBytes = 4096;

    private const int EntryOverhead = 32;
    private const int AuthorityIndex = 1;

    private readonly Queue<Entry> entries = new();
    private int limit = MaxBytes;
    private int bytes;

    /// <summary>Lengths of the names of the static table, from index 1.</summary>
    internal static ReadOnlySpan<byte> StaticNameLengths =>
    [
        10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16, 13, 12,
        6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4, 3, 16,
    ];

    /// <summary>False if there is no such index.</summary>
    public bool TryGetName(int index, out int nameBytes, out bool isAuthority)
    {
        nameBytes = 0;
        isAuthority = index == AuthorityIndex;
        if (index <= 0) { return false; }
        if (index <= StaticNameLengths.Length)
        {
            nameBytes = StaticNameLengths[index - 1];
            return true;
        }
        int age = index - StaticNameLengths.Length - 1;
        if (age >= entries.Count) { return false; }
        Entry found = entries.ElementAt(entries.Count - 1 - age);
        nameBytes = found.NameBytes;
        isAuthority = found.IsAuthority;
        return true;
    }

    public void Add(int nameBytes, int valueBytes, bool isAuthority)
    {
        Entry entry = new(nameBytes, nameBytes + valueBytes + EntryOverhead, isAuthority);
        Evict(limit - entry.Bytes);
        if (entry.Bytes > limit) { return; }  // The table is empty now, as it is on the peer's side.
        entries.Enqueue(entry);
        bytes += entry.Bytes;
    }

    /// <summary>False if the peer takes more than it may.</summary>
    public bool TryResize(int newLimit)
    {
        if (newLimit > MaxBytes) { return false; }
        limit = newLimit;
        Evict(limit);
        return true;
    }

    private void Evict(int downTo)
    {
        while (bytes > downTo && entries.TryDequeue(out Entry oldest)) { bytes -= oldest.Bytes; }
    }

    private readonly record struct Entry(int NameBytes, int Bytes, bool IsAuthority);
}
