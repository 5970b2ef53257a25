namespace KvFs.Cli.Output;

/// <summary>A terminal on which something is shown again and again in its place, until somebody presses q.</summary>
/// <remarks>It has the terminal's second screen: what was there before is there again when this is disposed. Not thread safe.</remarks>
internal sealed class LiveScreen : IDisposable
{
    private const string SecondScreenWithoutCursor = "\x1b[?1049h\x1b[?25l";
    private const string FirstScreenWithCursor = "\x1b[?25h\x1b[?1049l";
    private const string Home = "\x1b[H";
    private const string ClearToEndOfLine = "\x1b[K";
    private const string ClearToEnd = "\x1b[J";

    /// <summary>How soon a key is noticed.</summary>
    private static readonly TimeSpan s_keyLook = TimeSpan.FromMilliseconds(100);

    public LiveScreen() => Console.Out.Write(SecondScreenWithoutCursor);

    /// <summary>Shows text in the place of what was shown, cut where the terminal ends.</summary>
    public static void Show(string text)
    {
        string[] lines = text.TrimEnd('\n').Split('\n');
        int shown = Math.Min(lines.Length, Math.Max(1, Terminal.Height - 1));
        string all = string.Concat(lines.Take(shown).Select(static line => line[..Math.Min(line.Length, Terminal.Width)] + ClearToEndOfLine + "\n"));
        Console.Out.Write(Home + all + ClearToEnd);
        Console.Out.Flush();
    }

    /// <summary>Waits for the next time, or for a key.</summary>
    /// <returns>False: somebody wants it to end.</returns>
    public static async Task<bool> WaitAsync(TimeSpan time, CancellationToken cancel)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < time)
        {
            if (WantsEnd()) { return false; }
            await Task.Delay(s_keyLook < time ? s_keyLook : time, cancel).ConfigureAwait(false);
        }

        return !WantsEnd();
    }

    public void Dispose()
    {
        Console.Out.Write(FirstScreenWithCursor);
        Console.Out.Flush();
    }

    private static bool WantsEnd()
    {
        while (!Console.IsInputRedirected && Console.KeyAvailable)
        {
            if (Console.ReadKey(intercept: true).Key is ConsoleKey.Q or ConsoleKey.Escape) { return true; }
        }

        return false;
    }
}
