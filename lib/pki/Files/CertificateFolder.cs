using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki.Files;

/// <summary>The files of a peer: its certificate, its key, and the roots that it trusts, under the names that TLS Secrets of
/// Kubernetes have.</summary>
public static class CertificateFolder
{
    public const string CertificateFile = "tls.crt";
    public const string KeyFile = "tls.key";
    public const string RootsFile = "ca.crt";

    /// <summary>Writes all three, the key with mode 0600, durable when this returns. Who reads between the renames sees a key
    /// that is not of the certificate: see <see cref="CertificateFiles"/>.</summary>
    /// <param name="folder">Made if it is missing.</param>
    /// <param name="issued">The peer's own.</param>
    /// <param name="roots">What it is to trust; at least one.</param>
    /// <param name="replace">Whether a certificate and key that are there may be replaced; the roots are in any case.</param>
    /// <exception cref="PkiException"><see cref="PkiFailure.Exists"/>: they may not, and one is there.</exception>
    /// <exception cref="IOException">They cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public static void Write(string folder, IssuedCertificate issued, X509Certificate2Collection roots, bool replace)
    {
        ArgumentNullException.ThrowIfNull(issued);
        ArgumentNullException.ThrowIfNull(roots);
        ArgumentOutOfRangeException.ThrowIfZero(roots.Count);
        using FolderUpdate update = new(folder);
        update.Stage(RootsFile, roots.ExportCertificatePems() + "\n", FolderUpdate.Public, replace: true);
        update.Stage(KeyFile, issued.KeyPem, FolderUpdate.Secret, replace);
        update.Stage(CertificateFile, issued.CertificatePem, FolderUpdate.Public, replace);
        update.Commit();
    }

    /// <summary>Whether all three are there and fit together: what <see cref="CertificateFiles"/> would start with.</summary>
    /// <exception cref="IOException">One cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    public static bool IsUsable(string folder)
    {
        try
        {
            FilesStamp.Of(folder).Check(folder);
            return CertificateSet.Read(folder).Certificate.HasPrivateKey;
        }
        catch (PkiException)
        {
            return false;
        }
    }

    /// <summary>All certificates in a PEM file, in their order; at least one. A peer's own is the first.</summary>
    /// <exception cref="PkiException">The file is missing, or malformed.</exception>
    public static X509Certificate2Collection ReadCertificates(string path) => PemFile.Read(path).Certificates();
}
