using System.Globalization;
using System.Net;
using System.Net.Sockets;
using KvFs.Cli.Pool;

namespace KvFs.Cli.Tests.Pool;

public sealed class ServerPortsTests
{
    [Fact]
    public void They_are_different_and_none_that_an_outgoing_connection_could_take()
    {
        int outgoing = int.Parse(
            File.ReadAllText("/proc/sys/net/ipv4/ip_local_port_range").Split('\t')[0], CultureInfo.InvariantCulture);
        int[] ports = ServerPorts.Find(IPAddress.Loopback, 30);
        Assert.Equal(30, ports.Distinct().Count());
        Assert.All(ports, port => Assert.InRange(port, 1, outgoing <= 20_000 ? ushort.MaxValue : outgoing - 1));
    }

    [Fact]
    public void An_address_of_another_machine_has_none() =>
        Assert.Throws<SocketException>(static () => ServerPorts.Find(IPAddress.Parse("192.0.2.1"), 1));
}
