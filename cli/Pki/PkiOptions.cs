using System.CommandLine;
using System.CommandLine.Parsing;
using KvFs.Cli.CommandLine;
using KvFs.Pki;

namespace KvFs.Cli.Pki;

/// <summary>What several commands about certificates have on their command lines.</summary>
internal static class PkiOptions
{
    /// <summary>No authority of ours lives longer.</summary>
    private const int MaxDays = 3650;

    public static Option<string> Authority { get; } = new("--dir")
    {
        Description = "The folder of the authority: ca.crt and ca.key.",
        HelpName = "DIR",
        Required = true,
    };

    public static Option<string> Out(string description) => new("--out")
    {
        Description = description,
        HelpName = "DIR",
        Required = true,
    };

    public static Option<int?> Days(string description)
    {
        Option<int?> days = new("--days") { Description = description, HelpName = "NUMBER" };
        days.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1 or > MaxDays) { result.AddError($"The days must be from 1 to {MaxDays}."); }
        });
        return days;
    }

    /// <summary>A required option whose value is a name as Kubernetes has them.</summary>
    public static Option<string> Name(string option, string helpName, string description, string what)
    {
        Option<string> name = new(option) { Description = description, HelpName = helpName, Required = true };
        name.Validators.Add(result =>
        {
            try
            {
                foreach (Token token in result.Tokens) { NameRule.Check(token.Value, what); }
            }
            catch (CommandException e)
            {
                result.AddError(e.Message);
            }
        });
        return name;
    }

    /// <exception cref="CommandException">There is none, or it cannot be used.</exception>
    public static CertificateAuthority OpenAuthority(CommandContext context)
    {
        string folder = Path.GetFullPath(context.Get(Authority));
        return PkiErrors.Try(() => CertificateAuthority.Load(folder, TimeProvider.System), failure => failure switch
        {
            PkiFailure.Missing => $"Make an authority there: kvfs pki init --dir {folder} --pool NAME",
            PkiFailure.KeyMismatch => $"Put the certificate of ca.key into {folder}/ca.crt: it may hold several.",
            PkiFailure.NotValidNow =>
                "Look at the clock. If the authority has come to its end: make another one in another folder, and let all trust both "
                + "for a while.",
            PkiFailure.NotAuthority => "Make an authority in another folder: kvfs pki init --dir DIR --pool NAME",
            _ => null,
        });
    }
}
