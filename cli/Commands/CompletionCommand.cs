using System.CommandLine;
using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs completion</c>: prints what a shell needs to complete kvfs's words. The words themselves come from
/// <c>kvfs [suggest:N] "line"</c>, so a script never grows old.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        # Completion of kvfs for bash.  Now: source <(kvfs completion bash)
        _kvfs() {
          local line=${COMP_LINE:0:$COMP_POINT} word
          COMPREPLY=()
          while IFS= read -r word; do
            COMPREPLY+=("$word")
          done < <(compgen -W "$("${COMP_WORDS[0]}" "[suggest:${#line}]" "$line" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")
        }
        complete -o default -F _kvfs kvfs
        """;

    private const string Zsh = """
        #compdef kvfs
        # Completion of kvfs for zsh.  Now: source <(kvfs completion zsh)
        _kvfs() {
          local line=$LBUFFER
          local -a words_found
          words_found=("${(@f)$("${words[1]}" "[suggest:${#line}]" "$line" 2>/dev/null)}")
          compadd -a words_found || _files
        }
        compdef _kvfs kvfs
        """;

    private const string Fish = """
        # Completion of kvfs for fish.  Now: kvfs completion fish | source
        function __kvfs_words
          set -l line (commandline -cp)
          kvfs "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c kvfs -a '(__kvfs_words)'
        """;

    private static readonly Argument<string> Shell = new("shell") { Description = "bash, zsh or fish.", HelpName = "SHELL" };

    public static Command Build()
    {
        Shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        return new Command("completion", "Prints a script that makes a shell complete kvfs's words.") { Shell }
            .WithExamples(
                ("source <(kvfs completion bash)", "for this shell"),
                ("kvfs completion bash >/etc/bash_completion.d/kvfs", "for everybody's bash"),
                ("kvfs completion fish >~/.config/fish/completions/kvfs.fish", "for one's own fish"))
            .Runs(context => Console.Out.WriteLine(context.Get(Shell) switch { "bash" => Bash, "zsh" => Zsh, _ => Fish }));
    }
}
