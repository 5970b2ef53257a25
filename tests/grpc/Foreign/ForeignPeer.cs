using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests.Foreign;

/// <summary>Debian's grpcio, as a process of its own. Only the system's Python has it.</summary>
internal sealed class ForeignPeer : IDisposable
{
    private const string Python = "/usr/bin/python3";

    private readonly Process process;
    private readonly Task<string> errors;

    private ForeignPeer(string script, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(Python, [Path.Combine(AppContext.BaseDirectory, "Foreign", script), .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        process = Process.Start(start)!;
        errors = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Everything that the client script has to say; "done" if all is well.</summary>
    public static async Task<string> RunClientAsync(params IEnumerable<string> arguments)
    {
        using ForeignPeer peer = new("foreign_client.py", arguments);
        string said = await peer.process.StandardOutput.ReadToEndAsync();
        await peer.process.WaitForExitAsync();
        return said.Trim() == "done" ? "done" : said + await peer.errors;
    }

    /// <summary>A server that is ready, and its port.</summary>
    public static async Task<(ForeignPeer Peer, int Port)> StartServerAsync(params IEnumerable<string> arguments)
    {
        ForeignPeer peer = new("foreign_server.py", arguments);
        string? ready = await peer.process.StandardOutput.ReadLineAsync();
        if (ready is null || !ready.StartsWith("ready ", StringComparison.Ordinal))
        {
            peer.Dispose();
            throw new InvalidOperationException($"the foreign server did not start: {ready}{await peer.errors}");
        }
        return (peer, int.Parse(ready.AsSpan("ready ".Length), CultureInfo.InvariantCulture));
    }

    /// <summary>Writes what a foreign peer needs for TLS: authority, certificate, key.</summary>
    public static string[] WriteCertificates(string folder, TestAuthority authority, X509Certificate2 certificate)
    {
        string[] files = [Path.Combine(folder, "ca.pem"), Path.Combine(folder, "own.pem"), Path.Combine(folder, "own.key")];
        File.WriteAllText(files[0], authority.Certificate.ExportCertificatePem());
        File.WriteAllText(files[1], certificate.ExportCertificatePem());
        File.WriteAllText(files[2], certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        return files;
    }

    public void Dispose()
    {
        process.StandardInput.Close();
        if (!process.WaitForExit(TimeSpan.FromSeconds(20))) { process.Kill(); }
        process.Dispose();
    }
}
