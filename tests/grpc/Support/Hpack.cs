using System.Text;
using KvFs.Grpc.Authority;

namespace KvFs.Grpc.Tests.Support;

/// <summary>How a field is put into a header block.</summary>
internal enum FieldForm
{
    /// <summary>As index, where the tables have name and value.</summary>
    Indexed,
    Remembered,
    Plain,
    NeverIndexed,
}

/// <summary>Both sides of HPACK, whole, as the judge of what the repair leaves behind. Written after RFC 7541 alone.</summary>
internal sealed class Hpack
{
    private const int StaticCount = 61;

    private static readonly (string Name, string Value)[] Static =
    [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
        (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
        (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""),
        ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
        ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""),
        ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""),
        ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
        ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
        ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""),
        ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
        ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ];

    private static readonly uint[] Codes = BuildCodes();

    /// <summary>The dynamic table, newest first.</summary>
    private readonly List<(string Name, string Value)> table = [];
    private int limit = 4096;

    public static IEnumerable<string> StaticNames => Static.Select(entry => entry.Name);

    public void WriteResize(List<byte> block, int size)
    {
        WriteNumber(block, 0x20, 5, size);
        limit = size;
        Evict(0);
    }

    public void Write(List<byte> block, string name, string value, FieldForm form, bool huffman)
    {
        int whole = Find(field => field == (name, value));
        if (form == FieldForm.Indexed && whole > 0)
        {
            WriteNumber(block, 0x80, 7, whole);
            return;
        }
        (byte flag, int bits) = form switch
        {
            FieldForm.Plain => ((byte)0x00, 4),
            FieldForm.NeverIndexed => ((byte)0x10, 4),
            _ => ((byte)0x40, 6),
        };
        int index = Find(field => field.Name == name);
        WriteNumber(block, flag, bits, index);
        if (index == 0) { WriteString(block, name, huffman); }
        WriteString(block, value, huffman);
        if (flag == 0x40) { Remember(name, value); }
    }

    /// <summary>The index of the last field that fits, so that the dynamic table is used where it can be; 0 if none does.
    /// </summary>
    private int Find(Predicate<(string Name, string Value)> fits)
    {
        int dynamic = table.FindLastIndex(fits);
        return dynamic >= 0 ? StaticCount + 1 + dynamic : Array.FindIndex(Static, fits) + 1;
    }

    public List<(string Name, string Value)> Read(ReadOnlySpan<byte> block)
    {
        List<(string Name, string Value)> fields = [];
        int at = 0;
        while (at < block.Length)
        {
            byte first = block[at];
            if ((first & 0x80) != 0) { fields.Add(Entry(ReadNumber(block, ref at, 7))); }
            else if ((first & 0xE0) == 0x20)
            {
                limit = ReadNumber(block, ref at, 5);
                Evict(0);
            }
            else
            {
                bool remember = (first & 0x40) != 0;
                int index = ReadNumber(block, ref at, remember ? 6 : 4);
                string name = index == 0 ? ReadString(block, ref at) : Entry(index).Name;
                string value = ReadString(block, ref at);
                if (remember) { Remember(name, value); }
                fields.Add((name, value));
            }
        }
        return fields;
    }

    public static byte[] Huffman(byte[] text)
    {
        List<byte> coded = [];
        ulong pending = 0;
        int bits = 0;
        foreach (byte each in text)
        {
            int length = HuffmanCode.Lengths[each];
            pending = (pending << length) | Codes[each];
            bits += length;
            while (bits >= 8)
            {
                bits -= 8;
                coded.Add((byte)(pending >> bits));
            }
        }
        if (bits > 0) { coded.Add((byte)((pending << (8 - bits)) | (0xFFu >> bits))); }
        return [.. coded];
    }

    private static uint[] BuildCodes()
    {
        uint[] codes = new uint[257];
        uint next = 0;
        int length = 0;
        byte[] lengths = HuffmanCode.Lengths.ToArray();
        foreach (int symbol in Enumerable.Range(0, 257).OrderBy(symbol => lengths[symbol]).ThenBy(symbol => symbol))
        {
            next <<= lengths[symbol] - length;
            length = lengths[symbol];
            codes[symbol] = next++;
        }
        return codes;
    }

    private static void WriteNumber(List<byte> block, byte flag, int bits, int value)
    {
        int mask = (1 << bits) - 1;
        if (value < mask)
        {
            block.Add((byte)(flag | value));
            return;
        }
        block.Add((byte)(flag | mask));
        int rest = value - mask;
        for (; rest >= 128; rest >>= 7) { block.Add((byte)(rest | 0x80)); }
        block.Add((byte)rest);
    }

    private static void WriteString(List<byte> block, string text, bool huffman)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        if (huffman) { bytes = Huffman(bytes); }
        WriteNumber(block, huffman ? (byte)0x80 : (byte)0, 7, bytes.Length);
        block.AddRange(bytes);
    }

    private static int ReadNumber(ReadOnlySpan<byte> block, ref int at, int bits)
    {
        int mask = (1 << bits) - 1;
        int value = block[at++] & mask;
        if (value < mask) { return value; }
        for (int shift = 0; ; shift += 7)
        {
            byte each = block[at++];
            value += (each & 0x7F) << shift;
            if (each < 128) { return value; }
        }
    }

    private static string ReadString(ReadOnlySpan<byte> block, ref int at)
    {
        bool huffman = (block[at] & 0x80) != 0;
        int length = ReadNumber(block, ref at, 7);
        ReadOnlySpan<byte> bytes = block.Slice(at, length);
        at += length;
        if (!huffman) { return Encoding.Latin1.GetString(bytes); }
        byte[] text = new byte[(length * 8 / 5) + 1];
        int count = HuffmanCode.Decode(bytes, text);
        Assert.InRange(count, 0, text.Length);
        return Encoding.Latin1.GetString(text, 0, count);
    }

    private (string Name, string Value) Entry(int index) =>
        index <= StaticCount ? Static[index - 1] : table[index - StaticCount - 1];

    private void Remember(string name, string value)
    {
        Evict(Cost((name, value)));
        if (Cost((name, value)) <= limit) { table.Insert(0, (name, value)); }
    }

    private void Evict(int room)
    {
        while (table.Count > 0 && table.Sum(Cost) + room > limit) { table.RemoveAt(table.Count - 1); }
    }

    private static int Cost((string Name, string Value) field) => field.Name.Length + field.Value.Length + 32;
}
