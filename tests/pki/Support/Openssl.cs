using System.Diagnostics;

namespace KvFs.Pki.Tests.Support;

/// <summary>The command line of OpenSSL: another opinion on what we make.</summary>
internal static class Openssl
{
    /// <summary>No command of the tests takes so long.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Runs a command; what it says on both streams, and whether it ended with 0.</summary>
    public static async Task<(bool Ok, string Said)> RunAsync(params IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("openssl", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardInput.Close();
        using CancellationTokenSource patience = new(Patience);
        Task<string> output = process.StandardOutput.ReadToEndAsync(patience.Token);
        Task<string> errors = process.StandardError.ReadToEndAsync(patience.Token);
        await process.WaitForExitAsync(patience.Token);
        return (process.ExitCode == 0, await output + await errors);
    }
}
