using System.Net;

namespace KvFs.Cli.CommandLine;

/// <summary>Where the metrics page listens.</summary>
/// <param name="Address">Null: nowhere.</param>
/// <param name="MayMove">Nobody chose the port: if it is taken, any other will do.</param>
internal sealed record MetricsEndpoint(IPEndPoint? Address, bool MayMove)
{
    public const int DefaultPort = 9747;

    public static MetricsEndpoint Default { get; } = new(new IPEndPoint(IPAddress.Loopback, DefaultPort), MayMove: true);

    /// <summary>Reads <c>127.0.0.1:9747</c>, <c>[::1]:0</c> or <c>off</c>.</summary>
    public static bool TryParse(string? text, out MetricsEndpoint? endpoint)
    {
        endpoint = null;
        if (text == "off")
        {
            endpoint = new MetricsEndpoint(null, MayMove: false);
            return true;
        }

        // Without a port IPEndPoint reads "1" as an address and port 0: a port must be written.
        int colon = text?.LastIndexOf(':') ?? -1;
        bool hasPort = colon >= 0 && !text!.EndsWith(']') && colon > text.LastIndexOf(']');
        if (!hasPort || !IPEndPoint.TryParse(text!, out IPEndPoint? address)) { return false; }
        if (address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 && text![0] != '[') { return false; }
        endpoint = new MetricsEndpoint(address, MayMove: false);
        return true;
    }
}
