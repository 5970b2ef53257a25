using System.Globalization;
using System.Text;

namespace KvFs.Grpc.Wire;

/// <summary>The trailer <c>grpc-message</c>: UTF-8, percent-encoded outside of printable ASCII.</summary>
/// <remarks>Source: PROTOCOL-HTTP2.md, "Status-Message": a decoder never fails, it leaves what it cannot read.</remarks>
internal static class StatusMessage
{
    /// <summary>Characters of a message that travel. Peers refuse headers above 8 KiB or so, and with them the status.</summary>
    public const int MaxChars = 1024;

    public static string Encode(string text)
    {
        string shown = text.Length <= MaxChars ? text : text[..MaxChars];
        if (!shown.AsSpan().ContainsAnyExceptInRange(' ', '~') && !shown.Contains('%', StringComparison.Ordinal)) { return shown; }
        StringBuilder encoded = new();
        foreach (byte each in Encoding.UTF8.GetBytes(shown))
        {
            if (each is >= (byte)' ' and <= (byte)'~' and not (byte)'%') { encoded.Append((char)each); }
            else { encoded.Append(CultureInfo.InvariantCulture, $"%{each:X2}"); }
        }
        return encoded.ToString();
    }

    public static string Decode(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal)) { return text; }
        byte[] raw = Encoding.UTF8.GetBytes(text);
        int length = 0;
        for (int at = 0; at < raw.Length; at++)
        {
            if (raw[at] == '%' && at + 2 < raw.Length && char.IsAsciiHexDigit((char)raw[at + 1]) && char.IsAsciiHexDigit((char)raw[at + 2]))
            {
                raw[length++] = byte.Parse(raw.AsSpan(at + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                at += 2;
            }
            else
            {
                raw[length++] = raw[at];
            }
        }
        return Encoding.UTF8.GetString(raw, 0, length);
    }
}
