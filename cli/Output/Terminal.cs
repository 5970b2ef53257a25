using Spectre.Console;

namespace KvFs.Cli.Output;

/// <summary>What the standard streams can show.</summary>
internal static class Terminal
{
    /// <summary>https://no-color.org: set and not empty means plain text.</summary>
    private const string NoColorVariable = "NO_COLOR";

    public static bool OutputIsTerminal => !Console.IsOutputRedirected;

    /// <summary>Progress and questions make sense: somebody watches, and can answer.</summary>
    public static bool IsInteractive => !Console.IsErrorRedirected && !Console.IsInputRedirected;

    public static bool ErrorIsTerminal => !Console.IsErrorRedirected;

    public static bool OutputHasColors => OutputIsTerminal && ColorsAllowed;

    public static bool ErrorHasColors => ErrorIsTerminal && ColorsAllowed;

    /// <summary>Columns; of a terminal that does not say, as many as terminals had at first.</summary>
    public static int Width => Console.WindowWidth is > 0 and var columns ? columns : 80;

    /// <summary>Lines; of a terminal that does not say, as many as terminals had at first.</summary>
    public static int Height => Console.WindowHeight is > 0 and var lines ? lines : 24;

    private static bool ColorsAllowed =>
        string.IsNullOrEmpty(Environment.GetEnvironmentVariable(NoColorVariable))
            && Environment.GetEnvironmentVariable("TERM") != "dumb";

    /// <summary>Standard error, for progress.</summary>
    public static IAnsiConsole CreateErrorConsole() => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Ansi = ErrorHasColors ? AnsiSupport.Yes : AnsiSupport.No,
        ColorSystem = ErrorHasColors ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
        Interactive = ErrorIsTerminal ? InteractionSupport.Yes : InteractionSupport.No,
        Out = new AnsiConsoleOutput(Console.Error),
    });

    public static IAnsiConsole CreateOutputConsole() => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Ansi = OutputHasColors ? AnsiSupport.Yes : AnsiSupport.No,
        ColorSystem = OutputHasColors ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
        Interactive = InteractionSupport.No,
        Out = new AnsiConsoleOutput(Console.Out),
    });
}
