using System.Net;
using System.Net.Sockets;

namespace KvFs.Authority.Tests.Support;

/// <summary>What a wire does with the bytes on it.</summary>
internal enum WireMode
{
    Pass,

    /// <summary>What is sent to the server waits until the mode is another one.</summary>
    Hold,

    /// <summary>The next request is lost with its connection, before the server has it.</summary>
    LoseRequest,

    /// <summary>The next answer is lost with its connection, after the server has given it.</summary>
    LoseAnswer,
}

/// <summary>A TCP connection between a client and a server that can break at the wrong moment.</summary>
internal sealed class FaultyWire : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stop = new();
    private readonly Uri server;
    private readonly Task accepting;
    private readonly Lock gate = new();
    private WireMode mode = WireMode.Pass;
    private WireMode afterFault = WireMode.Pass;
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal FaultyWire(Uri server)
    {
        this.server = server;
        listener.Start();
        Endpoint = new($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        accepting = AcceptAsync();
    }

    internal Uri Endpoint { get; }

    /// <summary>Changes the mode; after the one fault of a losing mode it is <paramref name="then"/>.</summary>
    internal void Set(WireMode next, WireMode then = WireMode.Pass)
    {
        lock (gate)
        {
            mode = next;
            afterFault = then;
            lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
            changed.SetResult();
            changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Ends when something was lost since the mode was set.</summary>
    internal Task LossAsync()
    {
        lock (gate) { return lost.Task.WaitAsync(TestTime.Limit()); }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Stop();
        await accepting;
        stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Task> connections = [];
        try
        {
            while (true)
            {
                Socket client = await listener.AcceptSocketAsync(stop.Token);
                connections.Add(CarryAsync(client));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task CarryAsync(Socket client)
    {
        using (client)
        {
            using Socket upstream = new(SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await upstream.ConnectAsync(server.Host, server.Port, stop.Token);
                await Task.WhenAny(
                    PumpAsync(client, upstream, WireMode.LoseRequest), PumpAsync(upstream, client, WireMode.LoseAnswer));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
                // The connection ends, as connections do.
            }
        }
    }

    private async Task PumpAsync(Socket from, Socket to, WireMode fatal)
    {
        byte[] buffer = new byte[64 << 10];
        try
        {
            while (await from.ReceiveAsync(buffer, stop.Token) is > 0 and int count)
            {
                while (fatal == WireMode.LoseRequest && HoldingUntil() is { } released) { await released.WaitAsync(stop.Token); }
                if (Loses(fatal)) { return; }
                await to.SendAsync(buffer.AsMemory(0, count), stop.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // As above: the other pump is told by the sockets.
        }
    }

    private Task? HoldingUntil()
    {
        lock (gate) { return mode == WireMode.Hold ? changed.Task : null; }
    }

    private bool Loses(WireMode fatal)
    {
        lock (gate)
        {
            if (mode != fatal) { return false; }
            mode = afterFault;
            lost.TrySetResult();
            return true;
        }
    }
}
