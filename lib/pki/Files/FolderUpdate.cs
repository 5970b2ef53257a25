using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Pki.Files;

/// <summary>Replaces files of a folder together, or not at all but for a crash between two renames.</summary>
/// <remarks>1. Make the folder if it is missing, lock it. 2. Write each file under another name, with its mode from the start,
/// and sync it. 3. Rename one after the other, sync the folder. What was staged and not committed is removed.</remarks>
internal sealed class FolderUpdate : IDisposable
{
    /// <summary>0600.</summary>
    public const UnixFileMode Secret = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>0644, or less where the user's mask says so.</summary>
    public const UnixFileMode Public = Secret | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly string folder;
    private readonly SafeFileHandle handle;
    private readonly List<(string Temporary, string Path, bool Replace)> staged = [];

    /// <exception cref="IOException">The folder cannot be made or opened.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public FolderUpdate(string folder)
    {
        this.folder = Path.GetFullPath(folder);
        if (!Directory.Exists(this.folder))
        {
            Directory.CreateDirectory(this.folder, Secret | UnixFileMode.UserExecute);
            using SafeFileHandle parent = Open(Path.GetDirectoryName(this.folder) ?? "/");
            Sync(parent);
        }
        handle = Open(this.folder);
        if (LinuxCalls.flock(handle, LinuxCalls.LOCK_EX) != 0)
        {
            IOException failure = Failure("cannot be locked");
            handle.Dispose();
            throw failure;
        }
    }

    /// <param name="name">In the folder.</param>
    /// <param name="text">ASCII.</param>
    /// <param name="mode">Its permissions, there before its bytes.</param>
    /// <param name="replace">What is there may be replaced.</param>
    /// <exception cref="PkiException"><see cref="PkiFailure.Exists"/>: it may not, and is there.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public void Stage(string name, string text, UnixFileMode mode, bool replace)
    {
        string path = Path.Combine(folder, name);
        if (!replace && File.Exists(path)) { throw new PkiException(PkiFailure.Exists, $"There is a file {path} already."); }
        string temporary = Path.Combine(folder, $".{name}.{Guid.NewGuid():n}");
        using FileStream file = new(temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = mode,
            BufferSize = 0,
        });
        staged.Add((temporary, path, replace));
        file.Write(Encoding.ASCII.GetBytes(text));
        file.Flush(flushToDisk: true);
    }

    /// <summary>Puts all that was staged in its place, in that order.</summary>
    /// <exception cref="IOException">It cannot be renamed, or somebody who takes no lock made one that may not be replaced.
    /// </exception>
    public void Commit()
    {
        foreach ((string temporary, string path, bool replace) in staged) { File.Move(temporary, path, overwrite: replace); }
        staged.Clear();
        Sync(handle);
    }

    public void Dispose()
    {
        foreach ((string temporary, _, _) in staged) { File.Delete(temporary); }
        handle.Dispose();
    }

    private SafeFileHandle Open(string path)
    {
        SafeFileHandle opened = new(LinuxCalls.open(path, LinuxCalls.O_DIRECTORY | LinuxCalls.O_CLOEXEC), ownsHandle: true);
        if (!opened.IsInvalid) { return opened; }
        IOException failure = Failure("cannot be opened");
        opened.Dispose();
        throw failure;
    }

    private void Sync(SafeFileHandle opened)
    {
        if (LinuxCalls.fsync(opened) != 0) { throw Failure("cannot be synced"); }
    }

    private IOException Failure(string what) =>
        new($"The folder {folder} {what}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
}
