namespace KvFs.Node.Tests;

internal static class DataFolders
{
    /// <summary>Copies a node's folder as a power cut would leave it: nothing is flushed or closed.</summary>
    public static void Copy(string from, string to)
    {
        foreach (string path in Directory.EnumerateDirectories(from, "*", SearchOption.AllDirectories).Prepend(from))
        {
            Directory.CreateDirectory(path.Replace(from, to, StringComparison.Ordinal));
        }

        foreach (string path in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            if (Path.GetFileName(path) != "LOCK") { File.Copy(path, path.Replace(from, to, StringComparison.Ordinal)); }
        }
    }
}
