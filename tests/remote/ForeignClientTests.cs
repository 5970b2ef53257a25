using System.Diagnostics;

namespace KvFs.Remote.Tests;

/// <summary>Debian's grpcio with nothing of ours but the protos.</summary>
public sealed class ForeignClientTests
{
    private const string Python = "/usr/bin/python3";

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public async Task A_client_in_another_language_works_with_a_drive_by_the_protos_alone(string transport)
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync(transport);
        string target = transport == "unix" ? $"unix:{world.SocketPath}" : $"localhost:{world.Port}";
        ProcessStartInfo start = new(
            Python,
            [
                Path.Combine(AppContext.BaseDirectory, "Foreign", "foreign_client.py"),
                target,
                Path.Combine(AppContext.BaseDirectory, "kvfs.pb"),
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string said = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal("done", (said + await errors).Trim());
    }
}
