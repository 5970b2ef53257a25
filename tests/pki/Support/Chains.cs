using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki.Tests.Support;

/// <summary>Whether a certificate is good for one who trusts these roots only.</summary>
internal static class Chains
{
    public static bool IsTrusted(
        this X509Certificate2Collection roots, X509Certificate2 certificate, PeerUsages side, DateTimeOffset when)
    {
        using X509Chain chain = new();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(roots);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = when.UtcDateTime;
        string usage = side == PeerUsages.Server ? CertificateFacts.ServerUsage : CertificateFacts.ClientUsage;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
        return chain.Build(certificate);
    }
}
