using System.CommandLine;
using KvFs.Authority;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Pool;
using KvFs.Core;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs pool replace</c>: puts one node in the place of another, so that exactly that one's copies move.</summary>
/// <remarks>A node that is started with <c>--replaces</c> does the same as it joins, before it is given any copy of its own.</remarks>
internal static class PoolReplaceCommand
{
    private static readonly Argument<string> Old = new("old") { Description = "The node that goes, whether it is there or not.", HelpName = "OLD" };

    private static readonly Option<string> By = new("--by")
    {
        Description = "The node that takes its place: one that has joined.", HelpName = "NEW", Required = true,
    };

    public static Command Build() =>
        new Command("replace", "Puts one node in the place of another: exactly that one's copies move to it.") { Old, By, PoolOptions.Authority }
            .WithExamples(("kvfs pool replace n3 --by n7 --authority http://127.0.0.1:2379", "then, once n3 keeps nothing: kvfs pool remove n3"))
            .Runs(async (context, cancel) =>
            {
                (string old, string by) = (context.Get(Old), context.Get(By));
                IPoolAuthority authority = PoolOptions.OpenAuthority(context);
                await using (authority.ConfigureAwait(false))
                {
                    await PoolCommand.ChangeAsync(
                        authority, map => PoolMapChange.Replace(map, PoolCommand.Find(map, old), PoolCommand.Find(map, by)), cancel).ConfigureAwait(false);
                }

                context.Show(new DoneReport($"Node '{by}' has the place of '{old}', which drains. Once it keeps nothing: `kvfs pool remove {old}`."));
            });
}
