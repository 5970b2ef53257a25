using System.Net;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc;
using KvFs.Pki;
using KvFs.Pki.Files;

namespace KvFs.Peers;

/// <summary>How the parts of a pool know each other over TCP: by certificates on both sides, or, for who asks for it, not at
/// all, and then on loopback only.</summary>
/// <remarks>Thread safe. Certificates are asked for at each handshake, so files that are replaced count from the next
/// connection on; <see cref="GrpcChannelOptions.MaxConnectionAge"/> bounds when a client makes one. A client shows its own
/// certificate without intermediates. Unix sockets need none of this: the mode of the file says who may connect.</remarks>
public sealed class PeerSecurity
{
    private readonly CertificateFiles? files;
    private readonly string pool;

    /// <summary>Who showed a certificate. A connection has one certificate for all its calls.</summary>
    private readonly ConditionalWeakTable<X509Certificate2, Verdict> verdicts = [];

    private PeerSecurity(CertificateFiles? files, string pool)
    {
        this.files = files;
        this.pool = pool;
    }

    /// <summary>Whoever can reach the loopback of this machine can read, change and make calls. Other addresses are refused.
    /// </summary>
    public static PeerSecurity PlainTextOnLoopback { get; } = new(files: null, pool: string.Empty);

    /// <summary>Both sides show a certificate of the pool, and trust the roots in the files.</summary>
    /// <exception cref="PkiException"><see cref="PkiFailure.Foreign"/>: the own certificate is not of this pool.</exception>
    public static PeerSecurity ByCertificates(CertificateFiles files, string pool)
    {
        ArgumentNullException.ThrowIfNull(files);
        if (PeerIdentity.TryRead(files.Current.Certificate, pool, out _, out string? reason)) { return new PeerSecurity(files, pool); }
        throw new PkiException(PkiFailure.Foreign, $"The own certificate '{files.Current.Facts.Subject}' cannot be used: {reason}.");
    }

    /// <summary>TLS of what listens; null: plain text.</summary>
    public ServerTls? ServerTls => files is null ? null : new()
    {
        Certificate = () => files.Current.Context,
        ClientAuthorities = () => files.Current.Roots,
    };

    /// <summary>Where a server listens.</summary>
    /// <exception cref="PkiException"><see cref="PkiFailure.Invalid"/>: plain text, and not on loopback.</exception>
    public GrpcEndpoint Endpoint(IPEndPoint address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (ServerTls is { } tls) { return GrpcEndpoint.Tcp(address, tls); }
        CheckLoopback(IPAddress.IsLoopback(address.Address), address.ToString());
        return GrpcEndpoint.TcpPlainText(address);
    }

    /// <summary>Where a client calls.</summary>
    /// <param name="host">A name or address that the server's certificate has.</param>
    /// <param name="port">Its port.</param>
    /// <param name="roles">What the server may be; at least one.</param>
    /// <exception cref="PkiException"><see cref="PkiFailure.Invalid"/>: plain text, and not on loopback.</exception>
    public GrpcTarget Target(string host, int port, params PeerRole[] roles)
    {
        ArgumentException.ThrowIfNullOrEmpty(host);
        ArgumentOutOfRangeException.ThrowIfZero(roles.Length);
        if (files is not null)
        {
            return GrpcTarget.Tcp(host, port, new ClientTls
            {
                Authorities = () => files.Current.Roots,
                Certificate = () => files.Current.Certificate,
                CheckServer = server => CheckServer(server, roles),
            });
        }
        bool isLoopback = host == "localhost" || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address));
        CheckLoopback(isLoopback, host);
        return GrpcTarget.TcpPlainText(host, port);
    }

    /// <summary>What a server asks before each call: who calls is of the pool, and has one of these roles. Callers on a Unix
    /// socket are let in, and with plain text all are.</summary>
    /// <remarks>Refuses with UNAUTHENTICATED who does not say who it is, and with PERMISSION_DENIED who may not.</remarks>
    public Func<ServerCall, ValueTask> Admit(params PeerRole[] roles)
    {
        ArgumentOutOfRangeException.ThrowIfZero(roles.Length);
        return call =>
        {
            if (PeerOf(call) is { } peer && !roles.Contains(peer.Role))
            {
                throw new GrpcException(GrpcStatusCode.PermissionDenied, $"{peer} may not call {call.Path}");
            }
            return ValueTask.CompletedTask;
        };
    }

    /// <summary>Who calls; null on a Unix socket, and with plain text.</summary>
    /// <exception cref="GrpcException">The caller's certificate does not say who it is in this pool.</exception>
    public PeerIdentity? PeerOf(ServerCall call)
    {
        ArgumentNullException.ThrowIfNull(call);
        if (files is null || call.Peer is null) { return null; }
        X509Certificate2 certificate = call.PeerCertificate
            ?? throw new GrpcException(GrpcStatusCode.Unauthenticated, "a client must show a certificate");
        Verdict verdict = verdicts.GetValue(certificate, Judge);
        return verdict.Peer ?? throw new GrpcException(GrpcStatusCode.Unauthenticated, verdict.Reason!);
    }

    private Verdict Judge(X509Certificate2 certificate) =>
        PeerIdentity.TryRead(certificate, pool, out PeerIdentity? peer, out string? reason) ? new(peer, null) : new(null, reason);

    private void CheckServer(X509Certificate2 certificate, PeerRole[] roles)
    {
        Verdict verdict = Judge(certificate);
        if (verdict.Peer is not { } peer) { throw new AuthenticationException($"Not a server of this pool: {verdict.Reason}."); }
        if (!roles.Contains(peer.Role)) { throw new AuthenticationException($"{peer} is not what should serve here."); }
    }

    private static void CheckLoopback(bool isLoopback, string where)
    {
        if (isLoopback) { return; }
        throw new PkiException(
            PkiFailure.Invalid, $"Plain text is for loopback only, and {where} is not: whoever is on the way could read and change it.");
    }

    private sealed record Verdict(PeerIdentity? Peer, string? Reason);
}
