using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvFs.Cli.Pool;

/// <summary>Ports for servers that are told to others before they listen, and start anew on the same one.</summary>
/// <remarks>None of those that the kernel takes for outgoing connections, as long as there are others: while a server is away, a connection
/// could take its port, and keep it; even one that somebody tries to make to that very port. Source: ip(7), ip_local_port_range.</remarks>
internal static class ServerPorts
{
    private const string OutgoingRange = "/proc/sys/net/ipv4/ip_local_port_range";

    /// <summary>Below it are ports that well-known programs listen on.</summary>
    private const int Least = 20_000;

    /// <summary>Where ports of outgoing connections begin unless somebody has changed that.</summary>
    private const int UsualOutgoing = 32_768;

    private const int Attempts = 1000;

    /// <summary>So many different ports of an address of this machine that are free now.</summary>
    /// <exception cref="SocketException">There are none, or it is no address of this machine.</exception>
    public static int[] Find(IPAddress address, int count)
    {
        List<TcpListener> probes = [];
        try
        {
            int end = FirstOutgoing();
            for (int attempt = 0; attempt < Attempts && probes.Count < count && end > Least; attempt++)
            {
                if (TryListen(address, Random.Shared.Next(Least, end)) is { } probe) { probes.Add(probe); }
            }

            while (probes.Count < count)
            {
                TcpListener probe = new(address, 0);
                probes.Add(probe);
                probe.Start();
            }

            return [.. probes.Select(static probe => ((IPEndPoint)probe.LocalEndpoint).Port)];
        }
        finally
        {
            foreach (TcpListener probe in probes) { probe.Dispose(); }
        }
    }

    private static TcpListener? TryListen(IPAddress address, int port)
    {
        TcpListener probe = new(address, port);
        try
        {
            probe.Start();
            return probe;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            probe.Dispose();
            return null;
        }
    }

    private static int FirstOutgoing()
    {
        try
        {
            return int.Parse(File.ReadAllText(OutgoingRange).Split('\t')[0], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return UsualOutgoing;
        }
    }
}
