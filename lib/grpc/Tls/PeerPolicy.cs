using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Grpc.Tls;

/// <summary>Which certificates of a peer are good: those that lead to one of the given authorities, and are meant for its
/// side of the connection. The system's own roots do not count.</summary>
internal static class PeerPolicy
{
    /// <summary>Extended key usages (RFC 5280, section 4.2.1.12).</summary>
    public const string ServerUsage = "1.3.6.1.5.5.7.3.1";
    public const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    public static X509ChainPolicy For(X509Certificate2Collection authorities, string usage)
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(authorities);
        policy.ApplicationPolicy.Add(new Oid(usage));
        return policy;
    }
}
