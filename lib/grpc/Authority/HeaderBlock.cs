namespace KvFs.Grpc.Authority;

/// <summary>Walks the header blocks of one connection, and makes values of <c>:authority</c> acceptable in place.</summary>
/// <remarks>
/// <para>No byte moves: a value that no host can have is overwritten by one of the same number of coded bytes. A value that
/// was Huffman coded becomes a plain one.</para>
/// <para>Why the tables of peer and server stay in step: the peer counts its own value, the server the new one. The new
/// one is never longer, so the server forgets an entry no earlier than the peer does, and what it has too many are the
/// oldest, to which the peer does not refer any more. A Huffman coded value that is longer than its text (no host name is) would break
/// this, and is left as it is.</para>
/// <para>Source: RFC 7541, section 6.</para>
/// </remarks>
internal sealed class HeaderBlock
{
    private const int MaxNumber = 1 << 20;
    private const int MaxAuthorityBytes = 256;
    private static ReadOnlySpan<byte> AuthorityName => ":authority"u8;
    private static ReadOnlySpan<byte> Replacement => "localhost"u8;

    private readonly PeerTable table = new();

    /// <summary>Repairs one whole block.</summary>
    /// <returns>Null if it is not well formed; whether it was changed, otherwise.</returns>
    public bool? Repair(Span<byte> block)
    {
        bool changed = false;
        int at = 0;
        while (at < block.Length)
        {
            byte first = block[at];
            if ((first & 0x80) != 0)  // Indexed field: name and value are in the tables.
            {
                if (!TryNumber(block, ref at, prefixBits: 7, out int index) || !table.TryGetName(index, out _, out _)) { return null; }
            }
            else if ((first & 0xE0) == 0x20)  // Size of the dynamic table.
            {
                if (!TryNumber(block, ref at, prefixBits: 5, out int limit) || !table.TryResize(limit)) { return null; }
            }
            else
            {
                bool? repaired = RepairLiteral(block, ref at, isIndexed: (first & 0xC0) == 0x40);
                if (repaired is null) { return null; }
                changed |= repaired.Value;
            }
        }
        return changed;
    }

    private bool? RepairLiteral(Span<byte> block, ref int at, bool isIndexed)
    {
        if (!TryNumber(block, ref at, isIndexed ? 6 : 4, out int index)) { return null; }
        int nameBytes;
        bool isAuthority;
        if (index == 0)
        {
            Span<byte> name = stackalloc byte[AuthorityName.Length];
            if (!TryString(block, ref at, name, out _, out nameBytes)) { return null; }
            isAuthority = nameBytes == AuthorityName.Length && name.SequenceEqual(AuthorityName);
        }
        else if (!table.TryGetName(index, out nameBytes, out isAuthority)) { return null; }

        Span<byte> text = isAuthority ? stackalloc byte[MaxAuthorityBytes] : [];
        int start = at;
        if (!TryString(block, ref at, text, out Range coded, out int valueBytes)) { return null; }
        if (isIndexed) { table.Add(nameBytes, valueBytes, isAuthority); }
        if (!isAuthority || (valueBytes <= text.Length && IsHost(text[..valueBytes]))) { return false; }
        Span<byte> value = block[coded];
        if (value.Length > valueBytes) { return false; }
        block[start] &= 0x7F;
        for (int place = 0; place < value.Length; place++)
        {
            value[place] = place < Replacement.Length ? Replacement[place] : (byte)'x';
        }
        return true;
    }

    /// <summary>Reads a string; <paramref name="text"/> gets as much of it as fits.</summary>
    private static bool TryString(Span<byte> block, ref int at, Span<byte> text, out Range coded, out int textBytes)
    {
        coded = default;
        textBytes = 0;
        if (at >= block.Length) { return false; }
        bool isHuffman = (block[at] & 0x80) != 0;
        if (!TryNumber(block, ref at, prefixBits: 7, out int length) || length > block.Length - at) { return false; }
        coded = at..(at + length);
        at += length;
        if (isHuffman)
        {
            textBytes = HuffmanCode.Decode(block[coded], text);
            return textBytes >= 0;
        }
        textBytes = length;
        block[coded][..Math.Min(length, text.Length)].CopyTo(text);
        return true;
    }

    /// <summary>RFC 7541, section 5.1.</summary>
    private static bool TryNumber(ReadOnlySpan<byte> block, ref int at, int prefixBits, out int value)
    {
        value = 0;
        if (at >= block.Length) { return false; }
        int mask = (1 << prefixBits) - 1;
        value = block[at++] & mask;
        if (value < mask) { return true; }
        for (int shift = 0; shift <= 21 && at < block.Length; shift += 7)
        {
            byte each = block[at++];
            value += (each & 0x7F) << shift;
            if (value > MaxNumber) { return false; }
            if ((each & 0x80) == 0) { return true; }
        }
        return false;
    }

    /// <summary>Whether a value is a plain host name or IPv4 address, with or without a port. Everything else is replaced:
    /// on a Unix socket the authority says nothing.</summary>
    private static bool IsHost(ReadOnlySpan<byte> text)
    {
        int colon = text.IndexOf((byte)':');
        ReadOnlySpan<byte> host = colon < 0 ? text : text[..colon];
        ReadOnlySpan<byte> port = colon < 0 ? [] : text[(colon + 1)..];
        if (colon >= 0 && (port.Length is 0 or > 5 || port.ContainsAnyExceptInRange((byte)'0', (byte)'9'))) { return false; }
        if (text.IsEmpty) { return true; }
        if (host.IsEmpty) { return false; }
        foreach (byte each in host)
        {
            if (!char.IsAsciiLetterOrDigit((char)each) && each is not ((byte)'-' or (byte)'.' or (byte)'_')) { return false; }
        }
        return true;
    }
}
