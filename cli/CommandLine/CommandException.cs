namespace KvFs.Cli.CommandLine;

/// <summary>A command cannot be carried out, for a reason that its user can understand and, mostly, remove.</summary>
/// <remarks>Crosses the control channel as <see cref="Control.ControlError"/>.</remarks>
internal sealed class CommandException : Exception
{
    public CommandException()
        : this(ExitCode.Failure, "The command failed.")
    {
    }

    public CommandException(string message)
        : this(ExitCode.Failure, message)
    {
    }

    public CommandException(string message, Exception innerException)
        : base(message, innerException) => Code = ExitCode.Failure;

    /// <param name="code">What the process ends with.</param>
    /// <param name="message">What is wrong: a sentence.</param>
    /// <param name="hint">What to do about it.</param>
    public CommandException(ExitCode code, string message, string? hint = null)
        : base(message)
    {
        Code = code;
        Hint = hint;
    }

    public ExitCode Code { get; }

    public string? Hint { get; }
}
