using System.Buffers;

namespace KvFs.Pki;

/// <summary>What pools and peers are called: as Kubernetes calls its objects, DNS subdomains (RFC 1123).</summary>
internal static class PeerName
{
    public const int MaxLength = 253;

    private const int MaxLabelLength = 63;

    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");

    /// <summary>1 to 253 lower-case letters, digits, '-' and '.'; each part between dots starts and ends with a letter or
    /// digit.</summary>
    public static bool IsName(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > MaxLength) { return false; }
        foreach (Range part in text.Split('.'))
        {
            if (!IsLabel(text[part])) { return false; }
        }
        return true;
    }

    /// <summary>A name that a certificate may have in DNS: as above, with parts of at most 63 characters of which the first
    /// may be '*', and the last is not a number: then it would be an address.</summary>
    public static bool IsDnsName(ReadOnlySpan<char> text)
    {
        ReadOnlySpan<char> rest = text.StartsWith("*.", StringComparison.Ordinal) ? text[2..] : text;
        if (!IsName(rest) || text.Length > MaxLength) { return false; }
        foreach (Range part in rest.Split('.'))
        {
            if (rest[part].Length > MaxLabelLength) { return false; }
        }
        return rest[(rest.LastIndexOf('.') + 1)..].ContainsAnyExceptInRange('0', '9');
    }

    private static bool IsLabel(ReadOnlySpan<char> label) =>
        label.Length > 0 && label[0] != '-' && label[^1] != '-' && !label.ContainsAnyExcept(Letters);
}
