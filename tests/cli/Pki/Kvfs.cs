using System.Diagnostics;
using System.Text.Json;

namespace KvFs.Cli.Tests.Pki;

/// <summary>What a program said, and how it ended.</summary>
internal sealed record Outcome(int Code, string Output, string Errors)
{
    /// <summary>The output as the JSON that it must be.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    public override string ToString() => $"code {Code}\n{Output}\n{Errors}";
}

/// <summary>The real program, as a process of its own.</summary>
internal static class Kvfs
{
    /// <summary>No command of these tests takes so long.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public static Task<Outcome> RunAsync(params IEnumerable<string> arguments) =>
        RunOtherAsync(
            Environment.GetEnvironmentVariable("KVFS_PROGRAM") ?? Path.Combine(AppContext.BaseDirectory, "kvfs"), arguments);

    public static async Task<Outcome> RunOtherAsync(string program, params IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
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
        return new(process.ExitCode, await output, await errors);
    }
}
