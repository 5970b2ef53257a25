using System.Globalization;

namespace KvFs.Cli.Hosting;

/// <summary>Which programs use a mount.</summary>
/// <remarks>Reads only links in /proc, never the mount itself. Processes of other users, or in other mount namespaces, may
/// stay unseen; a full answer needs root.</remarks>
internal static class MountHolders
{
    /// <summary>Programs that a message names.</summary>
    private const int MaxShown = 5;

    /// <param name="Pid">The process.</param>
    /// <param name="Name">Its program.</param>
    /// <param name="Use">What it uses: a path on the mount.</param>
    public readonly record struct Holder(int Pid, string Name, string Use);

    public static IReadOnlyList<Holder> Find(string directory)
    {
        List<Holder> holders = [];
        foreach (string folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)) { continue; }
            if (pid != Environment.ProcessId && FindUse(folder, directory) is { } use)
            {
                holders.Add(new Holder(pid, NameOf(folder), use));
            }
        }
        holders.Sort((left, right) => left.Pid.CompareTo(right.Pid));
        return holders;
    }

    /// <summary>The end of a sentence: " by bash (pid 7, in /mnt/kvfs/src)"; empty if nobody is seen.</summary>
    public static string Describe(string directory)
    {
        IReadOnlyList<Holder> holders = Find(directory);
        if (holders.Count == 0) { return string.Empty; }
        string shown = string.Join(", ", holders.Take(MaxShown).Select(holder =>
            string.Create(CultureInfo.InvariantCulture, $"{holder.Name} (pid {holder.Pid}, {holder.Use})")));
        return holders.Count <= MaxShown
            ? $" by {shown}"
            : string.Create(CultureInfo.InvariantCulture, $" by {shown} and {holders.Count - MaxShown} more");
    }

    private static string? FindUse(string folder, string directory)
    {
        foreach (string link in (string[])["cwd", "root", "exe"])
        {
            if (TargetOf(Path.Combine(folder, link)) is { } target && IsIn(target, directory)) { return $"{link} {target}"; }
        }
        return FindLinkIn(folder, "fd", directory) ?? FindLinkIn(folder, "map_files", directory);
    }

    private static string? FindLinkIn(string folder, string links, string directory)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries(Path.Combine(folder, links))
                .Select(TargetOf)
                .Where(target => target is not null && IsIn(target, directory))
                .Select(target => $"file {target}")
                .FirstOrDefault();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process ended meanwhile, or is another user's.
            return null;
        }
    }

    private static string? TargetOf(string link)
    {
        try
        {
            return new FileInfo(link).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static bool IsIn(string path, string directory) =>
        path.StartsWith(directory, StringComparison.Ordinal)
            && (path.Length == directory.Length || path[directory.Length] == '/');

    private static string NameOf(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "comm")).TrimEnd('\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "?";
        }
    }
}
