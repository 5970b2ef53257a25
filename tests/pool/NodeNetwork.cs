using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc;
using KvFs.Peers;
using KvFs.Pki;
using KvFs.Pki.Files;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvFs.Pool.Tests;

/// <summary>A network of network namespaces, one for each node, with a bridge in one more; the test has a cable to it, too. Cables can
/// be pulled, and what one node sends to another can be lost without a word.</summary>
/// <remarks>Nodes have 198.18.x.1 and so on, of a range that is kept for tests of networks; the test has 198.18.x.254; x comes from the
/// number of this process. A node's way to another is lost by a wrong hardware address for it: the bridge finds nobody there. All
/// talk with certificates, as they must beyond loopback.</remarks>
internal sealed class NodeNetwork : IDisposable
{
    private const string PoolName = "pool-tests";
    private const string Nowhere = "02:00:00:00:ff:ff";
    private const int TestHost = 254;
    private const int AuthorityHost = 253;

    private readonly string name = $"kvfs{Environment.ProcessId}";
    private readonly string subnet = $"198.18.{Environment.ProcessId % 256}";
    private readonly int nodes;
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-network-").FullName;
    private readonly HashSet<(int From, int To)> lost = [];
    private readonly CertificateAuthority authority = CertificateAuthority.Create(PoolName, TimeProvider.System);
    private readonly PeerSecurity security;

    private NodeNetwork(int nodes)
    {
        this.nodes = nodes;
        security = Certify();
    }

    /// <summary>The arguments with which a node finds its certificate.</summary>
    public ImmutableArray<string> Certificates => ["--pki", Path.Combine(folder, "node"), "--pool", PoolName];

    /// <summary>The same of who mounts a drive.</summary>
    public ImmutableArray<string> ClientCertificates => ["--pki", Path.Combine(folder, "client"), "--pool", PoolName];

    /// <summary>Where the nodes reach what runs beside the test.</summary>
    public string TestAddress => $"{subnet}.{TestHost}";

    /// <summary>Where the nodes reach an authority that runs beside the test: it can be cut off from them alone.</summary>
    public string AuthorityAddress => $"{subnet}.{AuthorityHost}";

    public static NodeNetwork Create(int nodes)
    {
        NodeNetwork network = new(nodes);
        try
        {
            network.Lay();
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>Whether this process may make namespaces, and cables between them.</summary>
    public static bool IsPossible()
    {
        if (!Environment.IsPrivilegedProcess) { return false; }
        string probe = $"kvfsprobe{Environment.ProcessId}";
        try
        {
            bool isMade = TryIp("netns", "add", probe)
                && TryIp("-n", probe, "link", "add", "bridge", "type", "bridge")
                && TryIp("-n", probe, "link", "add", "one", "type", "veth", "peer", "name", "two");
            TryIp("netns", "del", probe);
            return isMade;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;  // There is no `ip`.
        }
    }

    public string AddressOf(int node) => $"{subnet}.{node}:9740";

    /// <summary>What comes before a command that is to run where a node is.</summary>
    public ImmutableArray<string> Inside(int node) => ["ip", "netns", "exec", NamespaceOf(node)];

    /// <summary>The same for a command that mounts something: everybody sees what it mounts.</summary>
    public ImmutableArray<string> InsideOnlyOf(int node) => ["nsenter", $"--net=/run/netns/{NamespaceOf(node)}"];

    public GrpcTarget TargetOf(string address)
    {
        IPEndPoint point = IPEndPoint.Parse(address);
        return security.Target(point.Address.ToString(), point.Port, PeerRole.Node);
    }

    /// <summary>Pulls a node's cable: nobody reaches it, and it reaches nobody.</summary>
    public void Pull(int node) => Ip("-n", Switch, "link", "set", CableOf(node), "down");

    /// <summary>All that one node sends to another is lost from now on.</summary>
    public void Lose(int from, int to)
    {
        Ip("-n", NamespaceOf(from), "neigh", "replace", $"{subnet}.{to}", "lladdr", Nowhere, "nud", "permanent", "dev", "eth0");
        lost.Add((from, to));
    }

    /// <summary>All that two nodes send to each other is lost from now on.</summary>
    public void Part(int one, int other)
    {
        Lose(one, other);
        Lose(other, one);
    }

    /// <summary>All that the nodes send to the authority is lost from now on.</summary>
    public void LoseAuthority()
    {
        for (int node = 1; node <= nodes; node++) { Lose(node, AuthorityHost); }
    }

    /// <summary>All is as it was at the beginning.</summary>
    public void Heal()
    {
        for (int node = 1; node <= nodes; node++) { Ip("-n", Switch, "link", "set", CableOf(node), "up"); }
        foreach ((int from, int to) in lost) { Ip("-n", NamespaceOf(from), "neigh", "del", $"{subnet}.{to}", "dev", "eth0"); }
        lost.Clear();
    }

    /// <summary>Removes it; processes that are still in it have no network any more.</summary>
    public void Dispose()
    {
        // By name: with its namespace it would go only some time after that.
        TryIp("link", "del", name);
        for (int node = 1; node <= nodes; node++) { TryIp("netns", "del", NamespaceOf(node)); }
        TryIp("netns", "del", Switch);
        authority.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private string Switch => $"{name}-switch";

    private string NamespaceOf(int node) => $"{name}-n{node}";

    private static string CableOf(int node) => $"cable{node}";

    private void Lay()
    {
        Ip("netns", "add", Switch);
        Ip("-n", Switch, "link", "add", "bridge", "type", "bridge");
        Ip("-n", Switch, "link", "set", "bridge", "up");
        Ip("link", "add", name, "type", "veth", "peer", "name", "test", "netns", Switch);
        Ip("-n", Switch, "link", "set", "test", "master", "bridge", "up");
        Ip("address", "add", $"{TestAddress}/24", "dev", name);
        Ip("address", "add", $"{AuthorityAddress}/24", "dev", name);
        Ip("link", "set", name, "up");
        for (int node = 1; node <= nodes; node++)
        {
            string own = NamespaceOf(node);
            Ip("netns", "add", own);
            Ip("-n", Switch, "link", "add", CableOf(node), "type", "veth", "peer", "name", "eth0", "netns", own);
            Ip("-n", Switch, "link", "set", CableOf(node), "master", "bridge", "up");
            Ip("-n", own, "address", "add", $"{subnet}.{node}/24", "dev", "eth0");
            Ip("-n", own, "link", "set", "lo", "up");
            Ip("-n", own, "link", "set", "eth0", "up");
        }
    }

    /// <summary>Puts another certificate in the place of the one that all nodes have.</summary>
    /// <returns>Its serial number.</returns>
    public string RenewNodes() => Issue(
        "node", PeerRole.Node, PeerUsages.Server | PeerUsages.Client, [.. Enumerable.Range(1, nodes).Select(node => IPAddress.Parse($"{subnet}.{node}"))]);

    /// <summary>The serial number of the certificate that a node shows to who connects now.</summary>
    public async Task<string> ShownByAsync(int node)
    {
        IPEndPoint point = IPEndPoint.Parse(AddressOf(node));
        using TcpClient tcp = new();
        await tcp.ConnectAsync(point);
        await using SslStream tls = new(tcp.GetStream());
        string shown = string.Empty;
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = point.Address.ToString(),
                RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                {
                    shown = ((X509Certificate2)certificate!).SerialNumber;
                    return false;
                },
            });
        }
        catch (AuthenticationException)
        {
            // Seen is enough.
        }

        return shown;
    }

    private PeerSecurity Certify()
    {
        RenewNodes();
        Issue("client", PeerRole.Client, PeerUsages.Client, []);
        CertificateFiles files = new(Path.Combine(folder, "client"), TimeProvider.System, NullLogger<CertificateFiles>.Instance);
        return PeerSecurity.ByCertificates(files, PoolName);
    }

    private string Issue(string who, PeerRole role, PeerUsages usages, ImmutableArray<IPAddress> addresses)
    {
        using IssuedCertificate issued = authority.Issue(
            new() { Identity = new(PoolName, role, who), Usages = usages, Addresses = addresses });
        CertificateFolder.Write(Path.Combine(folder, who), issued, authority.Roots, replace: true);
        return issued.Certificate.SerialNumber;
    }

    private static void Ip(params string[] arguments)
    {
        (int code, string error) = RunIp(arguments);
        if (code == 0) { return; }
        throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"ip {string.Join(' ', arguments)}: {code}, {error}"));
    }

    private static bool TryIp(params string[] arguments) => RunIp(arguments).Code == 0;

    private static (int Code, string Error) RunIp(string[] arguments)
    {
        using Process ip = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true })!;
        string error = ip.StandardError.ReadToEnd();
        ip.WaitForExit();
        return (ip.ExitCode, error);
    }
}

/// <summary>A test of nodes with networks of their own: where there can be none it is passed over, and says why.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NetworkFactAttribute : FactAttribute
{
    private static readonly bool s_isPossible = NodeNetwork.IsPossible();

    public NetworkFactAttribute()
    {
        if (!s_isPossible) { Skip = "networks of their own need root, ip(8), and a kernel that makes namespaces"; }
    }
}
