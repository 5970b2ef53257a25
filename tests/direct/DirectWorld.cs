using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using KvFs.Direct;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Pki;
using KvFs.Pki.Files;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Direct.Tests;

/// <summary>A listener, and both ends of a stream that it was offered for.</summary>
internal sealed class DirectWorld : IDisposable
{
    public const int MessageBytes = 8 << 20;

    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-direct-").FullName;
    private readonly CertificateAuthority authority = CertificateAuthority.Create("test", TimeProvider.System);
    private readonly PeerSecurity security;
    private readonly ConcurrentBag<DirectStream> streams = [];

    public DirectWorld(bool isTls)
    {
        security = isTls ? Certify() : PeerSecurity.PlainTextOnLoopback;
        Listener = new(new(IPAddress.Loopback, 0), security.ServerTls, MessageBytes);
        Target = security.Target("127.0.0.1", Listener.Port, PeerRole.Node);
    }

    public DirectListener Listener { get; }

    public GrpcTarget Target { get; }

    /// <summary>Offers a stream, and takes it up.</summary>
    public async Task<(DirectStream Client, DirectStream Server)> ConnectAsync()
    {
        // Who dials waits for a second, and does without. A busy machine may be slower: another offer is another attempt.
        for (int attempt = 0; ; attempt++)
        {
            Assert.InRange(attempt, 0, 20);
            if (await TryConnectAsync() is { } connected) { return connected; }
        }
    }

    private async Task<(DirectStream Client, DirectStream Server)?> TryConnectAsync()
    {
        TaskCompletionSource<DirectStream> welcomed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        DirectOffer offer = Listener.Offer(welcomed.SetResult)!.Value;
        DirectStream? client = await DirectDial.TryConnectAsync(Target, offer, MessageBytes, CancellationToken.None);
        if (client is null) { return null; }
        DirectStream server = await welcomed.Task;
        streams.Add(client);
        streams.Add(server);
        return (client, server);
    }

    public void Dispose()
    {
        foreach (DirectStream stream in streams) { stream.Dispose(); }
        Listener.Dispose();
        authority.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Puts another certificate in the place of the one that both ends have.</summary>
    /// <returns>Its serial number.</returns>
    public string Renew() => Issue(replace: true);

    /// <summary>The serial number of the certificate that the listener shows to who connects now.</summary>
    public async Task<string> ShownAsync()
    {
        using X509Certificate2 own = X509Certificate2.CreateFromPemFile(
            Path.Combine(Own, CertificateFolder.CertificateFile), Path.Combine(Own, CertificateFolder.KeyFile));
        using TcpClient tcp = new();
        await tcp.ConnectAsync(IPAddress.Loopback, Listener.Port);
        await using SslStream tls = new(tcp.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "127.0.0.1",
            ClientCertificates = [own],
            RemoteCertificateValidationCallback = static (_, shown, _, _) => shown is not null,  // It is compared by who asks.
        });
        return ((X509Certificate2)tls.RemoteCertificate!).SerialNumber;
    }

    private string Own => Path.Combine(folder, "own");

    private PeerSecurity Certify()
    {
        Issue(replace: false);
        return PeerSecurity.ByCertificates(new(Own, TimeProvider.System, NullLogger<CertificateFiles>.Instance), "test");
    }

    private string Issue(bool replace)
    {
        using IssuedCertificate issued = authority.Issue(new()
        {
            Identity = new("test", PeerRole.Node, "n1"),
            Usages = PeerUsages.Server | PeerUsages.Client,
            Addresses = [IPAddress.Loopback],
        });
        CertificateFolder.Write(Own, issued, authority.Roots, replace);
        return issued.Certificate.SerialNumber;
    }
}

/// <summary>What one end of a stream received, and how it ended.</summary>
internal sealed class Received
{
    private readonly Channel<byte[]> messages = Channel.CreateUnbounded<byte[]>();
    private readonly Channel<byte[]> attachments = Channel.CreateUnbounded<byte[]>();
    private readonly TaskCompletionSource<string?> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<string?> Ended => ended.Task;

    public int Count => messages.Reader.Count;

    /// <summary>Begins to receive; sends everything back if it is to.</summary>
    public static Received From(DirectStream stream, bool echoes = false, long maxWaitingBytes = long.MaxValue)
    {
        Received received = new();
        stream.Start(
            "test",
            Marshaller.Bytes,
            maxWaitingBytes,
            (message, attached) =>
            {
                using AttachedBytes? lent = attached;
                received.messages.Writer.TryWrite(message.ToArray());
                if (lent is not null) { received.attachments.Writer.TryWrite(lent.Memory.ToArray()); }
                if (echoes) { stream.Send(Marshaller.Bytes, message, lent is null ? [] : lent.Memory.Span); }
            },
            why => received.ended.SetResult(why));
        return received;
    }

    public ValueTask<byte[]> NextAsync() => messages.Reader.ReadAsync();

    /// <summary>What was attached to the next message that had something attached.</summary>
    public ValueTask<byte[]> NextAttachedAsync() => attachments.Reader.ReadAsync();
}
