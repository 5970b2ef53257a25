using System.Net;
using System.Net.Sockets;

namespace KvFs.Authority.Tests.Support;

/// <summary>Ports of servers, below those that the kernel takes for outgoing connections: one must still be free when a server that was killed
/// starts anew.</summary>
internal static class FreePorts
{
    private const int Least = 20_000;

    private const int Count = 32_768 - Least;

    /// <summary>Counts on from a random place: who asks at the same time, or before the last one listens, gets another one.</summary>
    private static int s_last = Random.Shared.Next(Count);

    /// <summary>A port that is free now.</summary>
    internal static int Next()
    {
        while (true)
        {
            int port = Least + (Interlocked.Increment(ref s_last) % Count);
            try
            {
                using TcpListener probe = new(IPAddress.Loopback, port);
                probe.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken: the next one.
            }
        }
    }
}
