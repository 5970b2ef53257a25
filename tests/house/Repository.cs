namespace KvFs.House.Tests;

/// <summary>One text file of the repository, named by its path from the root, with forward slashes.</summary>
public sealed record SourceFile(string Path, string Text)
{
    public string Extension => System.IO.Path.GetExtension(Path);

    public string Folder => System.IO.Path.GetDirectoryName(Path)?.Replace('\\', '/') ?? string.Empty;

    public string[] Lines => Text.Split('\n');
}

/// <summary>What a rule found: where, and what to do about it. Lines count from 1.</summary>
public sealed record Finding(string Path, int Line, string Message)
{
    public override string ToString() => $"{Path}:{Line}: {Message}";
}

/// <summary>The checkout that these tests were built from, found by walking up to KvFs.sln.</summary>
public static class Repository
{
    private static readonly string[] GeneratedFolders = ["bin", "obj", "artifacts", "TestResults", ".git", ".vs", ".idea"];

    private static readonly string[] TextExtensions =
        [".cs", ".csproj", ".sln", ".props", ".targets", ".json", ".md", ".sh", ".py", ".txt", ".svg", ".yaml", ".yml", ""];

    public static string Root { get; } = FindRoot();

    /// <summary>Every text file, ordered by path, without what builds generate.</summary>
    public static IReadOnlyList<SourceFile> Files { get; } = ReadAll();

    public static IEnumerable<SourceFile> CSharp => Files.Where(file => file.Extension == ".cs");

    public static SourceFile Get(string path) =>
        Files.SingleOrDefault(file => file.Path == path)
            ?? throw new FileNotFoundException($"The repository has no {path}.", path);

    public static bool Exists(string path)
    {
        string full = Path.Combine(Root, path);
        return File.Exists(full) || Directory.Exists(full);
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "KvFs.sln"))) { return at.FullName; }
        }
        throw new InvalidOperationException($"No KvFs.sln above {AppContext.BaseDirectory}.");
    }

    private static List<SourceFile> ReadAll()
    {
        List<SourceFile> files = [];
        Read(new DirectoryInfo(Root), string.Empty, files);
        files.Sort((left, right) => string.CompareOrdinal(left.Path, right.Path));
        return files;
    }

    private static void Read(DirectoryInfo folder, string prefix, List<SourceFile> files)
    {
        foreach (FileInfo file in folder.EnumerateFiles())
        {
            if (!TextExtensions.Contains(file.Extension) && !file.Name.StartsWith('.')) { continue; }
            files.Add(new SourceFile(prefix + file.Name, File.ReadAllText(file.FullName)));
        }
        foreach (DirectoryInfo child in folder.EnumerateDirectories())
        {
            bool isLink = child.Attributes.HasFlag(FileAttributes.ReparsePoint);
            if (isLink || GeneratedFolders.Contains(child.Name)) { continue; }
            Read(child, $"{prefix}{child.Name}/", files);
        }
    }
}
