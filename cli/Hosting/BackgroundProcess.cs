using System.Diagnostics;
using System.Globalization;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Native;

namespace KvFs.Cli.Hosting;

/// <summary>Starts kvfs again as a background process, and waits until it serves. Its other end is
/// <see cref="BackgroundStart"/>.</summary>
internal static class BackgroundProcess
{
    /// <summary>Lines of its log that a message shows if it ended without a word.</summary>
    private const int ShownLogLines = 10;

    /// <param name="arguments">The command line after the program's name.</param>
    /// <param name="logPath">Where the process will log.</param>
    /// <param name="progress">How far it is.</param>
    /// <param name="cancel">Ends the process, too.</param>
    /// <exception cref="CommandException">It could not start: what it said, or the end of its log.</exception>
    public static async Task<StatusReport> StartAsync(
        IReadOnlyList<string> arguments, string logPath, IProgress<ProgressReport> progress, CancellationToken cancel)
    {
        InheritNothing();

        // All three, although only the output is read: .NET's runtime keeps copies of what a process was started with, and
        // must not hold open what belongs to our caller.
        ProcessStartInfo start = new(Environment.ProcessPath!, [.. OwnPrefix(), .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        try
        {
            return await LineReader.ReadAsync(
                    process.StandardOutput.BaseStream, ControlJson.Default.AnswerLineStatusReport, progress, cancel)
                .ConfigureAwait(false) ?? throw await EndedAsync(process, logPath).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _ = Posix.kill(process.Id, Posix.SigTerm);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Descriptors that this process itself was given, of whoever called it: a process that lives on must not hold
    /// them open, or the caller waits for their end.</summary>
    internal static void InheritNothing()
    {
        foreach (FileInfo entry in new DirectoryInfo("/proc/self/fd").EnumerateFiles())
        {
            if (int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor)
                && descriptor > Posix.StandardError)
            {
                _ = Posix.fcntl(descriptor, Posix.FSetFd, Posix.FdCloexec);
            }
        }
    }

    /// <summary>When the program was started as "dotnet kvfs.dll", the path of the dll.</summary>
    internal static IEnumerable<string> OwnPrefix() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? [Path.Combine(AppContext.BaseDirectory, "kvfs.dll")]
            : [];

    private static async Task<CommandException> EndedAsync(Process process, string logPath)
    {
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        string code = process.ExitCode.ToString(CultureInfo.InvariantCulture);
        string said = (await process.StandardError.ReadToEndAsync(CancellationToken.None).ConfigureAwait(false)).Trim();
        string end = File.Exists(logPath) ? string.Join('\n', File.ReadLines(logPath).TakeLast(ShownLogLines)) : string.Empty;
        return new CommandException(
            ExitCode.Failure, $"The background process ended with code {code} before it was ready. {said}".TrimEnd(),
            end.Length == 0 ? null : $"The end of {logPath}:\n{end}");
    }
}
