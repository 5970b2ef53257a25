namespace KvFs.Grpc.Authority;

/// <summary>HPACK's Huffman code, the reading side.</summary>
/// <remarks>The code is canonical: codes of one length are consecutive numbers in the order of their symbols, and the first of
/// a length follows from the one before. So the 257 lengths say everything. Source: RFC 7541, section 5.2 and appendix B.
/// </remarks>
internal static class HuffmanCode
{
    private const int EndOfString = 256;
    private const int MaxBits = 30;
    private const int MaxPaddingBits = 7;

    private static readonly int[] CountOfLength = new int[MaxBits + 1];
    private static readonly int[] FirstCodeOfLength = new int[MaxBits + 1];
    private static readonly int[] FirstPlaceOfLength = new int[MaxBits + 1];

    /// <summary>Symbols by the length of their code, then by value.</summary>
    private static readonly int[] Ordered = Order();

    /// <summary>Bits of each symbol's code; the last is the end of string, which never occurs.</summary>
    internal static ReadOnlySpan<byte> Lengths =>
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
        28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
        6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
        21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
        19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ];

    /// <summary>Reads a string. What does not fit into <paramref name="text"/> is counted, not written.</summary>
    /// <returns>The number of bytes of the string; -1 if it is not well formed.</returns>
    public static int Decode(ReadOnlySpan<byte> coded, Span<byte> text)
    {
        int count = 0;
        int code = 0;
        int bits = 0;
        bool onesOnly = true;
        foreach (byte each in coded)
        {
            for (int shift = 7; shift >= 0; shift--)
            {
                int bit = (each >> shift) & 1;
                code = (code << 1) | bit;
                bits++;
                onesOnly &= bit == 1;
                int place = code - FirstCodeOfLength[bits];
                if (place >= CountOfLength[bits])
                {
                    if (bits == MaxBits) { return -1; }
                    continue;
                }
                int symbol = Ordered[FirstPlaceOfLength[bits] + place];
                if (symbol == EndOfString) { return -1; }
                if (count < text.Length) { text[count] = (byte)symbol; }
                count++;
                code = 0;
                bits = 0;
                onesOnly = true;
            }
        }
        return bits <= MaxPaddingBits && onesOnly ? count : -1;
    }

    private static int[] Order()
    {
        byte[] lengths = Lengths.ToArray();
        foreach (byte length in lengths) { CountOfLength[length]++; }
        int code = 0;
        int place = 0;
        for (int length = 1; length <= MaxBits; length++)
        {
            code <<= 1;
            FirstCodeOfLength[length] = code;
            FirstPlaceOfLength[length] = place;
            code += CountOfLength[length];
            place += CountOfLength[length];
        }
        return [.. Enumerable.Range(0, lengths.Length).OrderBy(symbol => lengths[symbol]).ThenBy(symbol => symbol)];
    }
}
