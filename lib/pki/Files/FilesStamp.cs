using System.Runtime.InteropServices;

namespace KvFs.Pki.Files;

/// <summary>By what a file is told from the one that was under its name before: symbolic links are followed.</summary>
/// <param name="Error">errno(3), where it cannot be asked; the rest is zero then.</param>
/// <param name="IsRegular">It is no folder, pipe or device.</param>
/// <param name="Inode">Its number in the file system.</param>
/// <param name="SizeBytes">Its length.</param>
/// <param name="ModifiedSeconds">When its bytes changed, since 1970.</param>
/// <param name="ModifiedNanoseconds">What is beyond the seconds.</param>
internal readonly record struct FileStamp(
    int Error, bool IsRegular, ulong Inode, ulong SizeBytes, long ModifiedSeconds, uint ModifiedNanoseconds)
{
    public static FileStamp Of(string path)
    {
        if (LinuxCalls.statx(LinuxCalls.AT_FDCWD, path, 0, LinuxCalls.StatxWanted, out FileStatus status) != 0)
        {
            return new FileStamp(Marshal.GetLastPInvokeError(), false, 0, 0, 0, 0);
        }
        bool isRegular = (status.Mode & LinuxCalls.S_IFMT) == LinuxCalls.S_IFREG;
        return new FileStamp(0, isRegular, status.Inode, status.Size, status.ModifiedSeconds, status.ModifiedNanoseconds);
    }

    /// <exception cref="PkiException">It is missing, or not a file that can be read to its end.</exception>
    /// <exception cref="IOException">It cannot be asked.</exception>
    public void Check(string path)
    {
        if (Error is LinuxCalls.ENOENT or LinuxCalls.ENOTDIR) { throw new PkiException(PkiFailure.Missing, $"There is no file {path}."); }
        if (Error != 0) { throw new IOException($"The file {path} cannot be read: {Marshal.GetPInvokeErrorMessage(Error)}"); }
        if (!IsRegular) { throw new PkiException(PkiFailure.Malformed, $"{path} is not a regular file."); }
    }
}

/// <summary>The stamps of a peer's three files.</summary>
internal readonly record struct FilesStamp(FileStamp Certificate, FileStamp Key, FileStamp Roots)
{
    public static FilesStamp Of(string folder) => new(
        FileStamp.Of(Path.Combine(folder, CertificateFolder.CertificateFile)),
        FileStamp.Of(Path.Combine(folder, CertificateFolder.KeyFile)),
        FileStamp.Of(Path.Combine(folder, CertificateFolder.RootsFile)));

    /// <exception cref="PkiException">One is missing, or not a file that can be read to its end.</exception>
    /// <exception cref="IOException">One cannot be asked.</exception>
    public void Check(string folder)
    {
        Certificate.Check(Path.Combine(folder, CertificateFolder.CertificateFile));
        Key.Check(Path.Combine(folder, CertificateFolder.KeyFile));
        Roots.Check(Path.Combine(folder, CertificateFolder.RootsFile));
    }
}
