using KvFs.Core;

namespace KvFs.Client;

/// <summary>What a client knows of one directory's entries.</summary>
/// <remarks>Not thread safe. Keys are those of the records behind the directory's id (the name's hash, the name), so that their order
/// is that of cookies. A value of null: there is no such name.</remarks>
internal sealed class MirrorDirectory
{
    private readonly Dictionary<byte[], byte[]?> entries = new(ByteKeys.Instance);
    private readonly Dictionary<byte[], byte[]?>.AlternateLookup<ReadOnlySpan<byte>> bySpan;
    private byte[][]? sorted;
    private int present;

    public MirrorDirectory() => bySpan = entries.GetAlternateLookup<ReadOnlySpan<byte>>();

    /// <summary>Entries that the directory has, by its VNode; null: that is not known.</summary>
    public ulong? Size { get; set; }

    /// <summary>Names that were asked for one by one.</summary>
    public int Asked { get; set; }

    /// <summary>Every name is known: what is not here does not exist.</summary>
    public bool IsComplete => Size == (ulong)present;

    public int Count => entries.Count;

    /// <summary>False: nothing is known of this name.</summary>
    public bool TryGet(ReadOnlySpan<byte> key, out byte[]? value) =>
        bySpan.TryGetValue(key, out value) || IsComplete;

    public bool Knows(ReadOnlySpan<byte> key) => bySpan.ContainsKey(key);

    /// <summary>Sets what is known of a name; null: there is none.</summary>
    public void Set(ReadOnlySpan<byte> key, byte[]? value)
    {
        bool isKnown = bySpan.TryGetValue(key, out byte[]? before);
        if (isKnown && before is not null) { present--; }
        if (value is not null) { present++; }
        if (!isKnown || (before is null) != (value is null)) { sorted = null; }
        bySpan[key] = value;
    }

    /// <summary>Nothing is known of a name any more.</summary>
    public void Forget(ReadOnlySpan<byte> key)
    {
        if (!bySpan.Remove(key, out _, out byte[]? before) || before is null) { return; }
        present--;
        sorted = null;
    }

    /// <summary>The keys of all names from the given one on, in order.</summary>
    public ReadOnlySpan<byte[]> From(ReadOnlySpan<byte> key)
    {
        sorted ??= [.. entries.Where(static entry => entry.Value is not null)
            .Select(static entry => entry.Key)
            .Order(ByteKeys.Instance)];
        int low = 0;
        int high = sorted.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (sorted[middle].AsSpan().SequenceCompareTo(key) < 0) { low = middle + 1; }
            else { high = middle; }
        }

        return sorted.AsSpan(low);
    }
}

/// <summary>Byte strings as keys, looked up by spans.</summary>
internal sealed class ByteKeys
    : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>, IComparer<byte[]>
{
    public static readonly ByteKeys Instance = new();

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

    public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

    public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

    public int GetHashCode(ReadOnlySpan<byte> alternate) => unchecked((int)XxHash64.Compute(alternate));

    public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

    public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
}
