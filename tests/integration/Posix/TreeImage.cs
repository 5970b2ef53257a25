using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.Posix;

/// <summary>A whole tree as lines of text, one for each name, sorted: two trees are the same if their lines are.</summary>
internal static unsafe class TreeImage
{
    private const int LargestValue = 64 << 10;

    public static List<string> Take(string root)
    {
        List<string> lines = [];
        Add(root, ".", lines);
        lines.Sort(StringComparer.Ordinal);
        return lines;
    }

    /// <summary>The lines that only one of two trees has.</summary>
    public static string Compare(IReadOnlyList<string> expected, IReadOnlyList<string> actual)
    {
        IEnumerable<string> missing = expected.Except(actual).Select(static line => "ext4: " + line);
        IEnumerable<string> extra = actual.Except(expected).Select(static line => "KvFs: " + line);
        return string.Join('\n', missing.Concat(extra));
    }

    /// <summary>Length, beginning and hash of bytes.</summary>
    public static string Digest(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) { return "no bytes"; }
        string hash = Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8));
        string start = Convert.ToHexStringLower(bytes[..Math.Min(bytes.Length, 8)]);
        return string.Create(CultureInfo.InvariantCulture, $"{bytes.Length} bytes {start}… sha {hash}");
    }

    /// <summary>The names of a listing of extended attributes, those that programs may set, sorted.</summary>
    public static List<string> SplitNames(ReadOnlySpan<byte> names) =>
    [
        .. Encoding.UTF8.GetString(names).Split('\0', StringSplitOptions.RemoveEmptyEntries)
            .Where(static name => name.StartsWith("user.", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal),
    ];

    private static void Add(string path, string name, List<string> lines)
    {
        int error = FileStatus.TryGet(path, follow: false, out FileStatus status);
        if (error != 0)
        {
            lines.Add($"{name}: stat fails with errno {error}");
            return;
        }

        string facts = $"{name}: {KnownDifferences.Describe(status)}";
        try
        {
            lines.Add($"{facts}{Xattrs(path)} {Content(path, status)}");
            if (!status.IsDirectory) { return; }
            foreach (string child in Directory.EnumerateFileSystemEntries(path))
            {
                Add(child, $"{name}/{Path.GetFileName(child)}", lines);
            }
        }
        catch (UnauthorizedAccessException)
        {
            lines.Add($"{facts} and may not be read");
        }
    }

    private static string Content(string path, in FileStatus status)
    {
        if (status.IsLink) { return "-> " + new FileInfo(path).LinkTarget; }
        return status.IsFile ? Digest(Read(path)) : string.Empty;
    }

    /// <summary>All bytes of a file. Sharing it with writers keeps the framework from locking it.</summary>
    private static byte[] Read(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    private static string Xattrs(string path)
    {
        byte[] buffer = new byte[LargestValue];
        StringBuilder text = new();

        // Each call gets the buffer's own length, and what it answers is within it.
        fixed (byte* bytes = buffer)
        {
            nint length = LibC.llistxattr(path, bytes, LargestValue);
            if (length < 0) { return $" xattrs fail with errno {Marshal.GetLastPInvokeError()}"; }
            foreach (string name in SplitNames(buffer.AsSpan(0, (int)length)))
            {
                nint size = LibC.lgetxattr(path, name, bytes, LargestValue);
                text.Append(CultureInfo.InvariantCulture, $" {name}={Digest(buffer.AsSpan(0, (int)Math.Max(0, size)))}");
            }
        }

        return text.ToString();
    }
}
