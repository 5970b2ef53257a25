namespace KvFs.Protocol.Tests.Support;

/// <summary>Bytes as released versions sent them, in <c>golden/</c>: what every later version must read and write.</summary>
/// <remarks>A new frame gets a new file: run the tests once with KVFS_GOLDEN set to the folder to write into.</remarks>
internal static class Golden
{
    public static void Check(string name, ReadOnlySpan<byte> actual)
    {
        string path = Path.Combine(AppContext.BaseDirectory, "golden", name);
        if (Environment.GetEnvironmentVariable("KVFS_GOLDEN") is { Length: > 0 } folder && !File.Exists(path))
        {
            path = Path.Combine(folder, name);
            File.WriteAllBytes(path, actual);
        }

        Assert.Equal(File.ReadAllBytes(path), actual.ToArray());
    }
}
