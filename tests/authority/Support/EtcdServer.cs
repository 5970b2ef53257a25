using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;

namespace KvFs.Authority.Tests.Support;

/// <summary>A real member of etcd on loopback ports, with its data in a temporary folder.</summary>
internal sealed class EtcdServer : IAsyncDisposable
{
    private const string Ready = "ready to serve client requests";

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-etcd-");
    private readonly ConcurrentQueue<string> log = new();
    private readonly List<string> arguments;
    private readonly HttpClient http;
    private Process? process;

    private EtcdServer(
        string name, int clientPort, int peerPort, string cluster, string scheme, HttpClient? http, string[] more, string host = "127.0.0.1")
    {
        Endpoint = new($"{scheme}://{host}:{clientPort}");
        this.http = http ?? new();
        arguments =
        [
            "--name", name, "--data-dir", Path.Combine(folder.FullName, "data"),
            "--listen-client-urls", Endpoint.OriginalString, "--advertise-client-urls", Endpoint.OriginalString,
            "--listen-peer-urls", $"http://127.0.0.1:{peerPort}", "--initial-advertise-peer-urls", $"http://127.0.0.1:{peerPort}",
            "--initial-cluster", cluster, "--initial-cluster-state", "new",
            "--heartbeat-interval", "50", "--election-timeout", "500", .. more,
        ];
    }

    internal Uri Endpoint { get; }

    /// <summary>A member that is alone, and ready.</summary>
    internal static async Task<EtcdServer> StartAsync(string scheme = "http", HttpClient? http = null, params string[] more)
    {
        int peer = FreePorts.Next();
        EtcdServer server = new("alone", FreePorts.Next(), peer, $"alone=http://127.0.0.1:{peer}", scheme, http, more);
        await server.StartAsync();
        return server;
    }

    /// <summary>Members that form a cluster, and are ready.</summary>
    /// <param name="members">How many.</param>
    /// <param name="host">The address of this machine that clients reach them at.</param>
    internal static async Task<EtcdServer[]> StartClusterAsync(int members, string host = "127.0.0.1")
    {
        int[] peers = [.. Enumerable.Range(0, members).Select(static _ => FreePorts.Next())];
        string cluster = string.Join(',', peers.Select(static (port, at) => $"m{at}=http://127.0.0.1:{port}"));
        EtcdServer[] servers = [.. peers.Select((port, at) => new EtcdServer($"m{at}", FreePorts.Next(), port, cluster, "http", null, [], host))];
        await Task.WhenAll(servers.Select(static server => server.StartAsync()));
        return servers;
    }

    /// <summary>Starts the process, or starts it again on the data that it left.</summary>
    internal async Task StartAsync()
    {
        TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ProcessStartInfo start = new("etcd", arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        process = new() { StartInfo = start, EnableRaisingEvents = true };
        process.ErrorDataReceived += (_, line) => Note(line.Data, ready);
        process.OutputDataReceived += (_, line) => Note(line.Data, ready);
        process.Exited += (_, _) => ready.TrySetException(
            new InvalidOperationException($"etcd ended:\n{string.Join('\n', log.TakeLast(20))}"));
        process.Start();
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        await ready.Task.WaitAsync(TestTime.Limit());
    }

    /// <summary>kill -9.</summary>
    internal async Task KillAsync()
    {
        Process running = process!;
        process = null;
        running.Kill();
        await running.WaitForExitAsync(TestTime.Limit());
        running.Dispose();
    }

    /// <summary>Stops the process where it stands: its connections stay.</summary>
    internal Task FreezeAsync() => Signals.FreezeAsync(process!);

    /// <summary>Lets it go on.</summary>
    internal Task ThawAsync() => Signals.ThawAsync(process!);

    /// <summary>Asks the gateway directly.</summary>
    internal async Task<JsonElement> AskAsync(string path, object request, string? token = null)
    {
        using HttpRequestMessage message = new(HttpMethod.Post, new Uri(Endpoint, path)) { Content = JsonContent.Create(request) };
        if (token is not null) { message.Headers.TryAddWithoutValidation("Authorization", token); }
        using HttpResponseMessage response = await http.SendAsync(message, TestTime.Limit());
        string body = await response.Content.ReadAsStringAsync(TestTime.Limit());
        Assert.True(response.IsSuccessStatusCode, body);
        return JsonDocument.Parse(body).RootElement;
    }

    internal Task PutAsync(string key, byte[] value) =>
        AskAsync("/v3/kv/put", new Dictionary<string, string> { ["key"] = Base64(key), ["value"] = Convert.ToBase64String(value) });

    internal Task DeleteAsync(string key) =>
        AskAsync("/v3/kv/deleterange", new Dictionary<string, string> { ["key"] = Base64(key) });

    /// <summary>Forgets all revisions below the newest; returns that one.</summary>
    internal async Task<long> CompactAsync()
    {
        JsonElement range = await AskAsync("/v3/kv/range", new Dictionary<string, string> { ["key"] = Base64("x") });
        string revision = range.GetProperty("header").GetProperty("revision").GetString()!;
        await AskAsync("/v3/kv/compaction", new Dictionary<string, object> { ["revision"] = revision, ["physical"] = true });
        return long.Parse(revision, System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Whether this member leads its cluster.</summary>
    internal async Task<bool> LeadsAsync()
    {
        JsonElement status = await AskAsync("/v3/maintenance/status", new Dictionary<string, string>());

        // While members vote there is none, and JSON leaves out what is zero.
        return status.TryGetProperty("leader", out JsonElement leader)
            && leader.GetString() == status.GetProperty("header").GetProperty("member_id").GetString();
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null) { await KillAsync(); }
        http.Dispose();
        folder.Delete(recursive: true);
    }

    internal static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));

    private void Note(string? line, TaskCompletionSource ready)
    {
        if (line is null) { return; }
        log.Enqueue(line);
        if (line.Contains(Ready, StringComparison.Ordinal)) { ready.TrySetResult(); }
    }
}
