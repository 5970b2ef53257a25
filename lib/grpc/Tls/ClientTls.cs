using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc.Tls;

namespace KvFs.Grpc;

/// <summary>TLS of a channel, with certificates that change while it is open.</summary>
/// <remarks>The callbacks are asked at each handshake, from several threads: they answer from memory. A channel takes up new
/// certificates with its next connection; <see cref="GrpcChannelOptions.MaxConnectionAge"/> bounds when that is.</remarks>
public sealed class ClientTls
{
    /// <summary>The authorities that servers must have their certificate from. Null: the system's.</summary>
    public Func<X509Certificate2Collection>? Authorities { get; init; }

    /// <summary>The certificate to show, with its key, if the server asks for one.</summary>
    public Func<X509Certificate2?>? Certificate { get; init; }

    /// <summary>The name that the server's certificate must have, and that the calls name as their authority. Null: the host
    /// of the target.</summary>
    public string? ServerName { get; init; }

    /// <summary>Asked about a server's certificate that is good in all else; throws an <see cref="AuthenticationException"/>
    /// whose message says why it is refused.</summary>
    public Action<X509Certificate2>? CheckServer { get; init; }

    internal SslClientAuthenticationOptions Options()
    {
        SslClientAuthenticationOptions options = new();
        if (Authorities is not null || CheckServer is not null) { options.RemoteCertificateValidationCallback = IsTrusted; }
        if (Certificate is not null)
        {
            options.LocalCertificateSelectionCallback = (_, _, _, _, _) => Certificate()!;
            // A resumed session would go on under the certificate that it began with.
            options.AllowTlsResume = false;
        }
        return options;
    }

    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? presented, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 peer || !LeadsToAuthority(peer, presented, errors)) { return false; }
        CheckServer?.Invoke(peer);
        return true;
    }

    private bool LeadsToAuthority(X509Certificate2 peer, X509Chain? presented, SslPolicyErrors errors)
    {
        if (Authorities is null) { return errors == SslPolicyErrors.None; }
        // What the system thinks of the chain does not matter; the name does.
        if ((errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None) { return false; }
        using X509Chain chain = new();
        chain.ChainPolicy = PeerPolicy.For(Authorities(), PeerPolicy.ServerUsage);
        if (presented is not null) { chain.ChainPolicy.ExtraStore.AddRange(presented.ChainPolicy.ExtraStore); }
        return chain.Build(peer);
    }
}
