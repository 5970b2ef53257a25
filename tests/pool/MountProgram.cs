using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace KvFs.Pool.Tests;

/// <summary>A program that does something and says what it was answered, line by line; and can be heard while it goes on.</summary>
internal sealed class MountProgram : IDisposable
{
    private readonly Process process;
    private readonly ConcurrentQueue<string> lines = new();
    private readonly ConcurrentQueue<string> errors = new();

    private MountProgram(string program, IEnumerable<string> arguments)
    {
        process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        process.OutputDataReceived += (_, line) => Add(lines, line.Data);
        process.ErrorDataReceived += (_, line) => Add(errors, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        static void Add(ConcurrentQueue<string> said, string? line)
        {
            if (line is not null) { said.Enqueue(line); }
        }
    }

    public bool Runs => !process.HasExited;

    /// <summary>All that it said so far.</summary>
    public string[] Lines => [.. lines];

    /// <summary>The numbers among that.</summary>
    public IEnumerable<int> Numbers => Lines.Where(static line => char.IsAsciiDigit(line[0])).Select(static line => int.Parse(line, CultureInfo.InvariantCulture));

    /// <summary>Starts a program.</summary>
    public static MountProgram Start(string program, params IEnumerable<string> arguments) => new(program, arguments);

    /// <summary>Starts one in Python.</summary>
    /// <param name="text">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    public static MountProgram Python(string text, params IEnumerable<string> arguments) => new("python3", ["-u", "-c", text, .. arguments]);

    /// <summary>Waits until it has said a line.</summary>
    public Task SaysAsync(string line) => UntilAsync(said => said.Contains(line), $"it does not say '{line}'");

    /// <summary>Waits until it has said so many lines more.</summary>
    public Task MoreAsync(int count)
    {
        int until = Lines.Length + count;
        return UntilAsync(said => said.Length >= until, "it says no more");
    }

    /// <summary>Says a line to it.</summary>
    public void Say(string line) => process.StandardInput.WriteLine(line);

    /// <summary>Has it end, which it does when nobody speaks to it any more; it must end well.</summary>
    public async Task EndAsync()
    {
        process.StandardInput.Close();
        await EndedAsync();
        Assert.True(process.ExitCode == 0, ToString());
    }

    /// <summary>Waits until it has ended, and all that it said is here.</summary>
    public Task EndedAsync() => process.WaitForExitAsync();

    /// <summary>kill -9; all that it said is here then.</summary>
    public Task KillAsync()
    {
        process.Kill();
        return EndedAsync();
    }

    public void Dispose()
    {
        if (!process.HasExited) { process.Kill(); }
        process.Dispose();
    }

    public override string ToString() => $"{string.Join('\n', lines.TakeLast(10))}\n{string.Join('\n', errors)}";

    private Task<MountProgram> UntilAsync(Func<string[], bool> says, string otherwise) => PoolWorld.UntilAsync(
        () =>
        {
            string[] said = Lines;
            bool isOver = process.HasExited;
            if (says(said)) { return Task.FromResult<MountProgram?>(this); }
            if (isOver) { Assert.Fail($"{otherwise}, and has ended:\n{this}"); }
            return Task.FromResult<MountProgram?>(null);
        },
        () => $"{otherwise}:\n{this}");
}
