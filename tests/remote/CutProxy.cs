using System.Net;
using System.Net.Sockets;

namespace KvFs.Remote.Tests;

/// <summary>Stands between a client and a server on loopback, and cuts their connections when it is told to.</summary>
internal sealed class CutProxy : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> sockets = [];
    private readonly int upstream;
    private bool isCut;
    private Task passing = Task.CompletedTask;
    private TaskCompletionSource? passes;

    public CutProxy(int upstream)
    {
        this.upstream = upstream;
        listener.Start();
        Port = ((IPEndPoint)listener.LocalEndpoint).Port;
        _ = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>Breaks all connections, in the middle of whatever they carry; new ones are still made.</summary>
    public void Break()
    {
        lock (sockets)
        {
            foreach (Socket socket in sockets) { socket.Close(0); }
            sockets.Clear();
        }
    }

    /// <summary>Breaks all connections, and makes no new ones until <see cref="Mend"/>.</summary>
    public void Cut()
    {
        lock (sockets) { isCut = true; }
        Break();
    }

    public void Mend()
    {
        lock (sockets) { isCut = false; }
    }

    /// <summary>Lets nothing through any more of what the server says: it is there, and does not answer.</summary>
    public void Silence()
    {
        lock (sockets)
        {
            passes = new(TaskCreationOptions.RunContinuationsAsynchronously);
            passing = passes.Task;
        }
    }

    /// <summary>Lets it through, and all that it has said meanwhile.</summary>
    public void Speak()
    {
        lock (sockets)
        {
            passes?.TrySetResult();
            passing = Task.CompletedTask;
        }
    }

    public void Dispose()
    {
        listener.Stop();
        Speak();
        Break();
        listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) { _ = ServeAsync(await listener.AcceptSocketAsync()); }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        Socket server = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.NoDelay = true;
        try
        {
            if (!TryAdd(client)) { return; }
            await server.ConnectAsync(IPAddress.Loopback, upstream);
            if (!TryAdd(server)) { return; }
            await Task.WhenAny(PumpAsync(client, server, waits: false), PumpAsync(server, client, waits: true));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // One of the two is gone, and so is the other.
        }
        finally
        {
            client.Dispose();
            server.Dispose();
        }
    }

    private Task PassAsync()
    {
        lock (sockets) { return passing; }
    }

    private bool TryAdd(Socket socket)
    {
        lock (sockets)
        {
            if (isCut) { return false; }
            sockets.Add(socket);
            return true;
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool waits)
    {
        byte[] buffer = new byte[64 << 10];
        try
        {
            while (await from.ReceiveAsync(buffer, SocketFlags.None) is var count and > 0)
            {
                if (waits) { await PassAsync(); }
                for (int sent = 0; sent < count;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), SocketFlags.None);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Cut.
        }
    }
}
