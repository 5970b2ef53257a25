using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki;

/// <summary>A new certificate and its new key, which nobody else has.</summary>
public sealed class IssuedCertificate : IDisposable
{
    internal IssuedCertificate(X509Certificate2 certificate, ECDsa key)
    {
        Certificate = certificate;
        CertificatePem = certificate.ExportCertificatePem() + "\n";
        KeyPem = key.ExportPkcs8PrivateKeyPem() + "\n";
    }

    /// <summary>With its private key.</summary>
    public X509Certificate2 Certificate { get; }

    public string CertificatePem { get; }

    /// <summary>PKCS #8, not encrypted.</summary>
    public string KeyPem { get; }

    public void Dispose() => Certificate.Dispose();
}
