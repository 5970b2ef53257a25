namespace KvFs.Core;

/// <summary>Where a name stands in its directory: the readdir cookie of its entry.</summary>
/// <remarks>63 bits, because the kernel's directory offset is signed; 0, 1 and 2 are the start, "." and "..". Two names of
/// a directory may share a hash: the key goes on with the name, and a reader takes all entries of one hash together.</remarks>
public static class NameHash
{
    /// <summary>The least hash a name has.</summary>
    public const ulong First = 3;

    public static ulong Compute(ReadOnlySpan<byte> name) => Math.Max(First, XxHash64.Compute(name) >> 1);
}
