using System.Diagnostics;

namespace KvFs.Integration.Tests.Drives;

/// <summary>Runs the programs of this machine.</summary>
internal static class RealProgram
{
    /// <summary>A program that has not ended by then hangs: many times what the slowest needs on a busy machine.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    /// <summary>Runs a program to its end, which must be a good one.</summary>
    /// <returns>What it wrote to its output.</returns>
    public static string Run(string folder, string program, params string[] arguments)
    {
        using Process process = Start(folder, program, arguments);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string command = $"{program} {string.Join(' ', arguments)}";
        try
        {
            Assert.True(process.WaitForExit(Deadline), $"{command} did not end within {Deadline}.");
        }
        finally
        {
            if (!process.HasExited) { process.Kill(entireProcessTree: true); }
        }

        string text = output.GetAwaiter().GetResult();
        string complaint = errors.GetAwaiter().GetResult();
        Assert.True(process.ExitCode == 0, $"{command} in {folder}: exit {process.ExitCode}\n{text}\n{complaint}");
        return text;
    }

    /// <summary>Starts a program with all of its streams to this process.</summary>
    public static Process Start(string folder, string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // The user's own settings are no part of a test.
        start.Environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
        start.Environment["GIT_CONFIG_NOSYSTEM"] = "1";
        start.Environment["LC_ALL"] = "C";
        return Process.Start(start)!;
    }
}
