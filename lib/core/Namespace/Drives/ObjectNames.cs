namespace KvFs.Core;

/// <summary>What the name of a drive or snapshot may be: what Kubernetes takes as an object's name (RFC 1123 subdomain).
/// </summary>
public static class ObjectNames
{
    /// <summary><see cref="Status.NameTooLong"/> above 253 characters; <see cref="Status.Invalid"/> unless it is parts of
    /// lower-case letters, digits and '-', joined by '.', each with a letter or digit at both ends.</summary>
    public static Status Check(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length > Limits.ObjectNameBytes) { return Status.NameTooLong; }
        foreach (Range part in name.AsSpan().Split('.'))
        {
            if (!IsLabel(name.AsSpan(part))) { return Status.Invalid; }
        }

        return Status.Ok;
    }

    private static bool IsLabel(ReadOnlySpan<char> part)
    {
        if (part.IsEmpty || part[0] == '-' || part[^1] == '-') { return false; }
        foreach (char character in part)
        {
            bool allowed = char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '-';
            if (!allowed) { return false; }
        }

        return true;
    }
}
