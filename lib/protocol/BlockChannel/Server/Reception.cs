using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using KvFs.Core;
using KvFs.Protocol.BlockChannel.Connection;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Server;

/// <summary>Makes a connection of an accepted socket, or refuses it and says why.</summary>
internal sealed class Reception(ServerContext context)
{
    private readonly BlockChannelServerOptions options = context.Options;

    /// <summary>1. TLS. 2. The client's hello. 3. Ours, that welcomes or refuses.</summary>
    /// <param name="socket">Owned from now on.</param>
    /// <param name="tls">Null: plain text.</param>
    /// <param name="isFull">There are as many connections as there may be.</param>
    /// <param name="stopping">Ends it at once.</param>
    /// <returns>A connection to be served, or why there is none.</returns>
    public async Task<(ServerConnection? Connection, ChannelEnd? Refusal)> ReceiveAsync(
        Socket socket, Func<SslServerAuthenticationOptions>? tls, bool isFull, CancellationToken stopping)
    {
        using CancellationTokenSource time = new(options.HandshakeTime, options.Clock);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(time.Token, stopping);
        using CancellationTokenRegistration abort =
            limit.Token.UnsafeRegister(static state => ((Socket)state!).Dispose(), socket);
        Transport? transport = null;
        try
        {
            Transport.Tune(socket);
            X509Certificate2? certificate = null;
            if (tls is null) { transport = new PlainTransport(socket); }
            else { (transport, certificate) = await SecureAsync(socket, tls(), limit.Token).ConfigureAwait(false); }
            return await GreetAsync(transport, certificate, isFull).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // A peer that breaks TLS, or a callback that throws, ends this socket only.
        catch (Exception e)
#pragma warning restore CA1031
        {
            if (transport is not null) { await transport.DisposeAsync().ConfigureAwait(false); }
            socket.Dispose();
            bool isLate = time.IsCancellationRequested;
            string reason = isLate ? $"no hello came within {options.HandshakeTime}" : $"the handshake failed: {e.Message}";
            return (null, new(Status.Unavailable, reason));
        }
    }

    private static async Task<(Transport Transport, X509Certificate2? Certificate)> SecureAsync(
        Socket socket, SslServerAuthenticationOptions tls, CancellationToken limit)
    {
        SslStream stream = new(new NetworkStream(socket, ownsSocket: false));
        try
        {
            await stream.AuthenticateAsServerAsync(tls, limit).ConfigureAwait(false);
            return (new TlsTransport(socket, stream), stream.RemoteCertificate as X509Certificate2);
        }
        catch
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task<(ServerConnection? Connection, ChannelEnd? Refusal)> GreetAsync(
        Transport transport, X509Certificate2? certificate, bool isFull)
    {
        FrameReceiver receiver = new(transport, options.Clock);
        (Status status, Hello hello) = await HelloExchange.ReceiveAsync(receiver).ConfigureAwait(false);
        ChannelEnd? refusal = status switch
        {
            Status.Ok when hello.Pool != options.Pool => new(Status.NotFound, $"this is no node of pool {hello.Pool}"),
            Status.Ok when !options.Admit(certificate) => new(Status.AccessDenied, "the client's certificate is not admitted"),
            Status.Ok when isFull => new(Status.Busy, $"there are {options.MaxConnections} connections already"),
            Status.Ok => null,
            Status.Corrupt => new(status, "the hello does not have its checksum"),
            Status.NotSupported => new(status, $"this server speaks version {Hello.Version}, without optional features"),
            Status.Unavailable => new(status, "the client ended before its hello"),
            _ => new(Status.Invalid, "this is no hello of the block channel"),
        };
        await HelloExchange.SendAsync(transport, new Hello(
            refusal?.Status ?? Status.Ok,
            options.Pool,
            options.ChunkBytes,
            options.WindowBytes,
            options.MaxRequests,
            (int)Math.Min(options.SilenceTime.TotalMilliseconds, int.MaxValue),
            refusal?.Reason ?? string.Empty)).ConfigureAwait(false);
        if (refusal is null) { return (new(transport, receiver, context, hello.PayloadBytes), null); }

        // Or the kernel would throw the hello away with what the client has sent.
        await transport.EndSendAsync().ConfigureAwait(false);
        await receiver.DiscardAllAsync().ConfigureAwait(false);
        await transport.DisposeAsync().ConfigureAwait(false);
        return (null, refusal);
    }
}
