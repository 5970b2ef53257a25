using System.Globalization;
using System.Text;

namespace KvFs.Mount;

/// <summary>One line of /proc/self/mountinfo. The device is major:minor, and tells FUSE connections apart.</summary>
internal sealed record MountEntry(string Device, string Path, string Type, string Source)
{
    public bool IsFuse => Type == "fuse" || Type == "fuseblk" || Type.StartsWith("fuse.", StringComparison.Ordinal);

    /// <summary>The connection's number, which is its folder's name in fusectl.</summary>
    public uint ConnectionNumber
    {
        get
        {
            int colon = Device.IndexOf(':', StringComparison.Ordinal);
            uint major = uint.Parse(Device.AsSpan(0, colon), CultureInfo.InvariantCulture);
            uint minor = uint.Parse(Device.AsSpan(colon + 1), CultureInfo.InvariantCulture);

            // Anonymous devices have major 0 and up to 20 bits of minor: the kernel's dev_t packs them like this.
            return (major << 20) | minor;
        }
    }
}

/// <summary>What is mounted in this process's mount namespace. Reading it asks no file system, so nothing can
/// hang.</summary>
internal static class MountTable
{
    private const string File = "/proc/self/mountinfo";

    /// <summary>The topmost mount at exactly this path.</summary>
    public static MountEntry? FindTop(string path) => FindTop(System.IO.File.ReadLines(File), path);

    /// <summary>The last line for the path wins: later mounts cover earlier ones. Pure.</summary>
    public static MountEntry? FindTop(IEnumerable<string> lines, string path)
    {
        MountEntry? found = null;
        foreach (string line in lines)
        {
            if (Parse(line) is { } entry && entry.Path == path) { found = entry; }
        }

        return found;
    }

    /// <summary>True if a connection is mounted anywhere.</summary>
    public static bool Contains(string device) =>
        System.IO.File.ReadLines(File).Any(line => Parse(line) is { } entry && entry.Device == device);

    /// <returns>Null for a line that is none.</returns>
    /// <remarks>Fields: id, parent, major:minor, root, path, options, optional fields, "-", type, source, more. Blanks
    /// inside of a field are octal escapes. Source: proc_pid_mountinfo(5).</remarks>
    private static MountEntry? Parse(string line)
    {
        string[] fields = line.Split(' ');
        int dash = fields.Length > 6 ? Array.IndexOf(fields, "-", 6) : -1;
        bool isEntry = dash >= 0 && dash + 2 < fields.Length && fields[2].Contains(':', StringComparison.Ordinal);
        return !isEntry
            ? null
            : new MountEntry(fields[2], Unescape(fields[4]), fields[dash + 1], Unescape(fields[dash + 2]));
    }

    private static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal)) { return field; }
        byte[] escaped = Encoding.UTF8.GetBytes(field);
        List<byte> plain = new(escaped.Length);
        for (int i = 0; i < escaped.Length; i++)
        {
            bool isEscape = escaped[i] == '\\' && i + 3 < escaped.Length;
            plain.Add(isEscape
                ? (byte)(((escaped[i + 1] - '0') << 6) | ((escaped[i + 2] - '0') << 3) | (escaped[i + 3] - '0'))
                : escaped[i]);
            if (isEscape) { i += 3; }
        }

        return Encoding.UTF8.GetString([.. plain]);
    }
}
