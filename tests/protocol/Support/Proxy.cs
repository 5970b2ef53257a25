using System.Net;
using System.Net.Sockets;

namespace KvFs.Protocol.Tests.Support;

/// <summary>Stands between one client and a server, and changes one bit of what passes, or cuts the connection there.</summary>
internal sealed class Proxy : IDisposable
{
    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly int serverPort;

    public Proxy(int serverPort)
    {
        this.serverPort = serverPort;
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
    }

    public int Port => ((IPEndPoint)listener.LocalEndPoint!).Port;

    /// <summary>Byte of the stream of which a bit is changed, or at which it is cut.</summary>
    public long At { get; init; }

    /// <summary>The bits that are changed; 0: the connection is cut.</summary>
    public byte Mask { get; init; }

    /// <summary>Of the stream to the server; else of that to the client.</summary>
    public bool TowardsServer { get; init; }

    /// <summary>The place was reached.</summary>
    public bool WasReached { get; private set; }

    /// <summary>Bytes that passed to the server, and to the client.</summary>
    public (long ToServer, long ToClient) Passed { get; private set; }

    /// <summary>Serves one connection until it ends.</summary>
    public async Task RunAsync()
    {
        using Socket client = await listener.AcceptAsync();
        using Socket server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.NoDelay = server.NoDelay = true;
        await server.ConnectAsync(IPAddress.Loopback, serverPort);
        Task<long> there = PassAsync(client, server, TowardsServer);
        Task<long> back = PassAsync(server, client, !TowardsServer);
        Passed = (await there, await back);
    }

    public void Dispose() => listener.Dispose();

    private async Task<long> PassAsync(Socket from, Socket to, bool isChanged)
    {
        byte[] room = new byte[128 << 10];
        long passed = 0;
        try
        {
            while (await from.ReceiveAsync(room) is > 0 and int received)
            {
                if (isChanged && At >= passed && At < passed + received)
                {
                    WasReached = true;
                    if (Mask == 0)
                    {
                        from.Dispose();
                        to.Dispose();
                        return passed;
                    }

                    room[At - passed] ^= Mask;
                }

                passed += received;
                for (int sent = 0; sent < received;) { sent += await to.SendAsync(room.AsMemory(sent, received - sent)); }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // One side has gone: so does the other.
            from.Dispose();
            to.Dispose();
        }

        return passed;
    }
}
