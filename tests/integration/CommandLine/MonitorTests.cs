using System.Diagnostics;
using System.Net;

namespace KvFs.Integration.Tests.CommandLine;

public sealed class MonitorTests(RunningInstallation running) : IClassFixture<RunningInstallation>, IDisposable
{
    private readonly Installation installation = running.Installation;
    private readonly HttpClient http = new() { BaseAddress = new Uri(running.Installation.Metrics!) };

    public void Dispose() => http.Dispose();

    [Fact]
    public async Task The_metrics_page_is_to_promtools_taste_and_has_node_drives_and_process()
    {
        HttpResponseMessage response = await http.GetAsync("/metrics");
        Assert.Equal("text/plain", response.Content.Headers.ContentType!.MediaType);
        string page = await response.Content.ReadAsStringAsync();
        foreach (string name in (string[])
            ["kvfs_node_failed 0", "kvfs_mounts 1", "kvfs_drive_used_bytes{drive=\"main\"}", "process_resident_memory_bytes "])
        {
            Assert.Contains("\n" + name, page, StringComparison.Ordinal);
        }
        Assert.Equal(string.Empty, await CheckAsync(page));
    }

    [Fact]
    public async Task The_process_is_alive_and_ready()
    {
        Assert.Equal("ok\n", await http.GetStringAsync("/healthz"));
        Assert.Equal("ok\n", await http.GetStringAsync("/readyz"));
    }

    [Fact]
    public async Task Nothing_else_is_served_there()
    {
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/v1/drives")).StatusCode);
        using StringContent body = new("{}");
        HttpResponseMessage post = await http.PostAsync("/metrics", body);
        Assert.True((int)post.StatusCode is >= 400 and < 500);
    }

    [Fact]
    public async Task An_address_that_is_taken_is_refused_if_it_was_chosen()
    {
        await using Installation other = new();
        string address = new Uri(installation.Metrics!).Authority;
        Outcome outcome = await other.RunAsync("up", "--no-mount", "--metrics", address);
        Assert.Equal(5, outcome.Code);
        Assert.Contains("--metrics", outcome.Errors, StringComparison.Ordinal);
    }

    private static async Task<string> CheckAsync(string page)
    {
        ProcessStartInfo start = new("promtool", ["check", "metrics"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process promtool = Process.Start(start)!;
        await promtool.StandardInput.WriteAsync(page);
        promtool.StandardInput.Close();
        Outcome outcome = await Kvfs.EndAsync(promtool);
        return outcome.Output + outcome.Errors;
    }
}
