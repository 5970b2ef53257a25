using System.Collections.Concurrent;
using System.Net;
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
        Directory.Delete(folder, recursive: true);
    }

    private PeerSecurity Certify()
    {
        using CertificateAuthority authority = CertificateAuthority.Create("test", TimeProvider.System);
        using IssuedCertificate issued = authority.Issue(new()
        {
            Identity = new("test", PeerRole.Node, "n1"),
            Usages = PeerUsages.Server | PeerUsages.Client,
            Addresses = [IPAddress.Loopback],
        });
        string own = Path.Combine(folder, "own");
        CertificateFolder.Write(own, issued, authority.Roots, replace: false);
        return PeerSecurity.ByCertificates(new(own, TimeProvider.System, NullLogger<CertificateFiles>.Instance), "test");
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
