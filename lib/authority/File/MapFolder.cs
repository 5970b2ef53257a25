using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Authority;

/// <summary>A map's file on disk: read as a whole, replaced as a whole, under a lock that other processes see.</summary>
/// <remarks>Beside the file lie <c>(name).lock</c>, which is never removed, and while it is replaced
/// <c>(name).new</c>. Source: flock(2), rename(2), fsync(2).</remarks>
internal sealed class MapFolder(string path)
{
    private const int LockMode = 0x180;  // 0600

    private static readonly FileStreamOptions NewFile = new()
    {
        Mode = FileMode.CreateNew,
        Access = FileAccess.Write,
        Share = FileShare.None,
        BufferSize = 0,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };

    private readonly string folder = Path.GetDirectoryName(path)!;

    /// <summary>The first bytes, at most; null if there is no file.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal byte[]? Read(int atMost)
    {
        try
        {
            using SafeFileHandle file = File.OpenHandle(path, options: FileOptions.SequentialScan);
            byte[] bytes = new byte[(int)Math.Min(RandomAccess.GetLength(file), atMost)];
            int read = 0;
            while (read < bytes.Length)
            {
                int count = RandomAccess.Read(file, bytes.AsSpan(read), read);
                if (count == 0) { break; }
                read += count;
            }

            return bytes[..read];
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Tries to get the lock; null if somebody else has it. Disposing gives it back.</summary>
    /// <exception cref="IOException">There can be no lock here.</exception>
    internal IDisposable? TryLock()
    {
        SafeFileHandle handle = Open(path + ".lock", FileCalls.O_RDWR | FileCalls.O_CREAT);
        if (FileCalls.flock(handle, FileCalls.LOCK_EX | FileCalls.LOCK_NB) == 0) { return handle; }
        int error = Marshal.GetLastPInvokeError();
        handle.Dispose();
        return error == FileCalls.EWOULDBLOCK ? null : throw Failed("lock", path + ".lock", error);
    }

    /// <summary>Puts other bytes in the place of the file's, so that at each moment, also of a power cut, either are
    /// there as a whole. The lock is held.</summary>
    /// <param name="bytes">The new bytes.</param>
    /// <param name="isPut">Whether they stand there for everybody; so also if what follows fails.</param>
    /// <exception cref="IOException">The disk fails or is full.</exception>
    internal void Replace(ReadOnlySpan<byte> bytes, out bool isPut)
    {
        isPut = false;
        string temporary = path + ".new";
        try
        {
            File.Delete(temporary);  // Of a process that died here.
            using (FileStream file = new(temporary, NewFile))
            {
                file.Write(bytes);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }

        isPut = true;
        using SafeFileHandle directory = Open(folder, FileCalls.O_RDONLY);
        if (FileCalls.fsync(directory) != 0) { throw Failed("sync", folder, Marshal.GetLastPInvokeError()); }
    }

    private static SafeFileHandle Open(string name, int flags)
    {
        int opened = FileCalls.open(name, flags | FileCalls.O_CLOEXEC, LockMode);
        return opened >= 0 ? new(opened, ownsHandle: true) : throw Failed("open", name, Marshal.GetLastPInvokeError());
    }

    private static IOException Failed(string what, string name, int error) =>
        new($"Could not {what} {name}: {Marshal.GetPInvokeErrorMessage(error)}");
}
