using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc.Tls;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Hosting;

namespace KvFs.Grpc;

/// <summary>TLS of a listener, with certificates that change while it listens.</summary>
/// <remarks>Both callbacks are asked at each handshake, from several threads: they answer from memory. Connections that
/// stand already keep what they were made with.</remarks>
public sealed class ServerTls
{
    /// <summary>The certificate to show, its key and its intermediates.</summary>
    public required Func<SslStreamCertificateContext> Certificate { get; init; }

    /// <summary>The authorities of which a client must show a certificate (for client authentication). Null: clients are not
    /// asked for one. An empty collection trusts nobody. Revocation is not looked up: certificates are short-lived.</summary>
    public Func<X509Certificate2Collection>? ClientAuthorities { get; init; }

    internal void Apply(ListenOptions listener) => listener.UseHttps(new TlsHandshakeCallbackOptions
    {
        OnConnection = _ => new ValueTask<SslServerAuthenticationOptions>(ForOneHandshake()),
    });

    /// <summary>For one handshake of something beside gRPC: the same certificates, and no application protocol.</summary>
    public SslServerAuthenticationOptions HandshakeWithoutProtocol()
    {
        SslServerAuthenticationOptions handshake = ForOneHandshake();
        handshake.ApplicationProtocols = null;
        return handshake;
    }

    private SslServerAuthenticationOptions ForOneHandshake()
    {
        SslServerAuthenticationOptions handshake = new()
        {
            ServerCertificateContext = Certificate(),
            ApplicationProtocols = [SslApplicationProtocol.Http2],
        };
        if (ClientAuthorities is null) { return handshake; }
        handshake.ClientCertificateRequired = true;
        handshake.CertificateChainPolicy = PeerPolicy.For(ClientAuthorities(), PeerPolicy.ClientUsage);
        // A resumed session would carry a certificate that was checked against authorities of long ago.
        handshake.AllowTlsResume = false;
        handshake.RemoteCertificateValidationCallback = static (_, certificate, _, errors) =>
            certificate is not null && errors == SslPolicyErrors.None;
        return handshake;
    }
}
