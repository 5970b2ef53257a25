using System.Diagnostics;
using System.Text.Json;

namespace KvFs.Integration.Tests.CommandLine;

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
    /// <summary>No command takes so long; one that does is stuck, and is ended.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>KVFS_PROGRAM, or what was built beside the tests.</summary>
    public static string Path { get; } =
        Environment.GetEnvironmentVariable("KVFS_PROGRAM") ?? System.IO.Path.Combine(AppContext.BaseDirectory, "kvfs");

    /// <summary>Starts it with nothing to read, and nothing of this process's own settings.</summary>
    public static Process Start(params IEnumerable<string> arguments) => StartProgram(Path, arguments);

    /// <summary>Starts it so that it cannot make any file larger than this: as a disk that takes no more.</summary>
    public static Process StartWithSmallFiles(int mebibytes, params IEnumerable<string> arguments)
    {
        const int BlocksPerMebibyte = 2048;
        string limit = $"trap '' XFSZ; ulimit -f {mebibytes * BlocksPerMebibyte}; exec \"$0\" \"$@\"";
        return StartProgram("/bin/sh", ["-c", limit, Path, .. arguments]);
    }

    private static Process StartProgram(string program, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove("KVFS_DATA");
        Process process = Process.Start(start)!;
        process.StandardInput.Close();
        return process;
    }

    public static async Task<Outcome> RunAsync(params IEnumerable<string> arguments)
    {
        using Process process = Start(arguments);
        return await EndAsync(process);
    }

    /// <summary>Reads what a process still says, and waits for its end.</summary>
    public static async Task<Outcome> EndAsync(Process process)
    {
        using CancellationTokenSource patience = new(Patience);
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(patience.Token);
            Task<string> errors = process.StandardError.ReadToEndAsync(patience.Token);
            await process.WaitForExitAsync(patience.Token);
            return new(process.ExitCode, await output, await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw new TimeoutException($"{process.StartInfo.FileName} {string.Join(' ', process.StartInfo.ArgumentList)} is stuck.");
        }
    }
}
