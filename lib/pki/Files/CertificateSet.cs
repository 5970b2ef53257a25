using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki.Files;

/// <summary>What a peer's files said at one moment: they belong together.</summary>
/// <remarks>Never changes, and is never disposed of: a handshake may still use it when the next one is there already.</remarks>
public sealed class CertificateSet
{
    private CertificateSet(X509Certificate2 certificate, X509Certificate2Collection intermediates, X509Certificate2Collection roots)
    {
        Certificate = certificate;
        Facts = CertificateFacts.Of(certificate);
        Context = SslStreamCertificateContext.Create(certificate, intermediates, offline: true);
        Roots = roots;
    }

    /// <summary>The peer's own, with its key.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>The same for a server's handshake, with the intermediates that the file has behind it.</summary>
    public SslStreamCertificateContext Context { get; }

    /// <summary>The authorities that other peers must have their certificates from; at least one.</summary>
    public X509Certificate2Collection Roots { get; }

    public CertificateFacts Facts { get; }

    /// <exception cref="PkiException">A file is missing or malformed, or the key is not of the certificate.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    internal static CertificateSet Read(string folder)
    {
        string certificatePath = Path.Combine(folder, CertificateFolder.CertificateFile);
        string keyPath = Path.Combine(folder, CertificateFolder.KeyFile);
        string rootsPath = Path.Combine(folder, CertificateFolder.RootsFile);
        X509Certificate2Collection chain = PemFile.Read(certificatePath).Certificates();
        X509Certificate2Collection roots = PemFile.Read(rootsPath).Certificates();
        foreach (X509Certificate2 root in roots)
        {
            if (CertificateFacts.Of(root).IsAuthority) { continue; }
            throw new PkiException(PkiFailure.NotAuthority, $"The certificate '{root.Subject}' in {rootsPath} may not sign others.");
        }
        using AsymmetricAlgorithm key = PrivateKeyPem.Load(PemFile.Read(keyPath));
        if (!PrivateKeyPem.Fits(key, chain[0]))
        {
            throw new PkiException(
                PkiFailure.KeyMismatch, $"The key in {keyPath} is not of the certificate in {certificatePath}: only one was replaced.");
        }
        return new CertificateSet(PrivateKeyPem.Join(chain[0], key), [.. chain.Skip(1)], roots);
    }
}
