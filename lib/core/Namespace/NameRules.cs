namespace KvFs.Core;

/// <summary>What a name of a directory entry may be.</summary>
public static class NameRules
{
    /// <summary><see cref="Status.NameTooLong"/> above 255 bytes; <see cref="Status.Invalid"/> if it is empty, "." or "..",
    /// or has a '/' or a NUL.</summary>
    public static Status Check(ReadOnlySpan<byte> name)
    {
        if (name.Length > Limits.NameBytes) { return Status.NameTooLong; }
        bool valid = !name.IsEmpty && !IsDot(name) && !IsDotDot(name) && name.IndexOfAny((byte)'/', (byte)0) < 0;
        return valid ? Status.Ok : Status.Invalid;
    }

    public static bool IsDot(ReadOnlySpan<byte> name) => name.SequenceEqual("."u8);

    public static bool IsDotDot(ReadOnlySpan<byte> name) => name.SequenceEqual(".."u8);
}
