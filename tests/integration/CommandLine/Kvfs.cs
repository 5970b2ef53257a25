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

    /// <summary>Runs it in a mount namespace of its own, which a script for the shell has prepared.</summary>
    public static Task<Outcome> RunAfterMountsAsync(string script, params IEnumerable<string> arguments) =>
        RunAfterMountsAsync(script, [Path], arguments);

    /// <summary>Runs it as a user who owns nothing.</summary>
    /// <param name="place">An empty folder that everybody may pass to. The program appears in it, for that user alone: where it was
    /// built that user may not look.</param>
    /// <param name="arguments">Its command line.</param>
    public static Task<Outcome> RunAsNobodyAsync(string place, params IEnumerable<string> arguments)
    {
        const string Nobody = "65534";
        return RunAfterMountsAsync(
            $"mount --bind '{System.IO.Path.GetDirectoryName(Path)}' '{place}' && export HOME=/",
            ["setpriv", "--reuid", Nobody, "--regid", Nobody, "--clear-groups", System.IO.Path.Combine(place, System.IO.Path.GetFileName(Path))],
            arguments);
    }

    private static async Task<Outcome> RunAfterMountsAsync(string script, IEnumerable<string> program, IEnumerable<string> arguments)
    {
        using Process process = StartProgram(
            "unshare", ["--mount", "/bin/sh", "-c", script + " && exec \"$@\"", "sh", .. program, .. arguments]);
        return await EndAsync(process);
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
