using KvFs.Cli.CommandLine;
using KvFs.Pki;

namespace KvFs.Cli.Pki;

/// <summary>What failures with certificates are to those who typed a command.</summary>
internal static class PkiErrors
{
    public static ExitCode CodeOf(PkiFailure failure) => failure switch
    {
        PkiFailure.Missing => ExitCode.NotFound,
        PkiFailure.Exists => ExitCode.Exists,
        PkiFailure.Invalid => ExitCode.Usage,
        _ => ExitCode.Failure,
    };

    /// <summary>Runs something, and adds a way on to what it fails with.</summary>
    /// <param name="action">What to do.</param>
    /// <param name="hint">What its user can do about a failure; null: nothing that is not in the message.</param>
    /// <exception cref="CommandException">It failed.</exception>
    public static T Try<T>(Func<T> action, Func<PkiFailure, string?> hint)
    {
        try
        {
            return action();
        }
        catch (PkiException e)
        {
            throw new CommandException(CodeOf(e.Failure), e.Message, hint(e.Failure));
        }
    }
}
