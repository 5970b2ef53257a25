using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using KvFs.Cli.Native;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>Removes what a kvfs that was killed left mounted: every access to it fails with ENOTCONN, and nothing is in it.
/// </summary>
internal static partial class DeadMount
{
    private const string OurType = "fuse.kvfs";

    /// <summary>fusermount3 only calls umount2(2): it is done at once, or hangs.</summary>
    private static readonly TimeSpan HelperTime = TimeSpan.FromSeconds(10);

    /// <summary>Unmounts the path if it is a mount of kvfs whose server is gone. Others' mounts, and living ones, stay; a
    /// path where this fails is refused by the mount itself, with the reason.</summary>
    public static void Remove(string path, ILogger log)
    {
        if (!IsOurs(path) || !IsDead(path)) { return; }
        LogRemoving(log, path);
        if (Posix.umount2(path, Posix.MntDetach | Posix.UmountNoFollow) != 0) { RunHelper(path); }
    }

    /// <summary>Whether the topmost mount on a path is of kvfs.</summary>
    public static bool IsOurs(string path) =>
        File.ReadLines("/proc/self/mountinfo").Select(Parse).LastOrDefault(mount => mount.Path == path).Type == OurType;

    /// <summary>Reads the path and the type from a line of mountinfo(5).</summary>
    internal static (string Path, string Type) Parse(string line)
    {
        string[] words = line.Split(' ');
        int separator = Array.IndexOf(words, "-");
        return words.Length > 4 && separator > 4 && separator + 1 < words.Length
            ? (Unescape(words[4]), words[separator + 1])
            : (string.Empty, string.Empty);
    }

    private static bool IsDead(string path)
    {
        int descriptor = Posix.open(path, Posix.OCloexec);
        if (descriptor >= 0)
        {
            _ = Posix.close(descriptor);
            return false;
        }
        return Marshal.GetLastPInvokeError() is Posix.ENotConn or Posix.EConnAborted;
    }

    private static void RunHelper(string path)
    {
        try
        {
            using Process? helper = Process.Start(new ProcessStartInfo("fusermount3", ["-u", "-z", "--", path])
            {
                RedirectStandardError = true,
            });
            helper?.WaitForExit(HelperTime);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // There is no fusermount3: the mount, which needs it too, says so.
        }
    }

    /// <summary>mountinfo writes blanks and backslashes as a backslash and three octal digits.</summary>
    private static string Unescape(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal)) { return text; }
        StringBuilder plain = new(text.Length);
        for (int at = 0; at < text.Length; at++)
        {
            bool isEscape = text[at] == '\\' && at + 3 < text.Length
                && text.AsSpan(at + 1, 3).IndexOfAnyExceptInRange('0', '7') < 0;
            if (!isEscape)
            {
                plain.Append(text[at]);
                continue;
            }
            plain.Append((char)(((text[at + 1] - '0') * 64) + ((text[at + 2] - '0') * 8) + (text[at + 3] - '0')));
            at += 3;
        }
        return plain.ToString();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Path} is the mount of a kvfs that was killed; removing it.")]
    private static partial void LogRemoving(ILogger logger, string path);
}
