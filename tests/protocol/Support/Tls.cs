using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Protocol.Tests.Support;

/// <summary>TLS where both sides show a certificate of one authority.</summary>
internal static class Tls
{
    public static SslServerAuthenticationOptions Server(TestAuthority authority) => new()
    {
        ServerCertificateContext = authority.ServerContext("server"),
        ClientCertificateRequired = true,
        CertificateChainPolicy = Policy(authority),
        RemoteCertificateValidationCallback =
            static (_, certificate, _, errors) => certificate is not null && errors == SslPolicyErrors.None,
    };

    public static SslClientAuthenticationOptions Client(TestAuthority authority, X509Certificate2? certificate) => new()
    {
        CertificateChainPolicy = Policy(authority),
        ClientCertificates = certificate is null ? null : [certificate],
    };

    private static X509ChainPolicy Policy(TestAuthority authority)
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
        };
        policy.CustomTrustStore.AddRange(authority.Bundle);
        return policy;
    }
}
