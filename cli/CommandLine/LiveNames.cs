using System.CommandLine;
using System.CommandLine.Completions;
using KvFs.Cli.Control;

namespace KvFs.Cli.CommandLine;

/// <summary>Names that the shell may offer, from the process that runs; nothing if there is none.</summary>
internal static class LiveNames
{
    /// <summary>A shell that completes must not hang: better no names.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    public static Argument<string> CompletedBy(
        this Argument<string> argument, Func<CompletionContext, IEnumerable<string>> names)
    {
        argument.CompletionSources.Add(context => names(context).Select(name => new CompletionItem(name)));
        return argument;
    }

    public static IEnumerable<string> Drives(CompletionContext context) => Ask(context, async (client, cancel) =>
        (await client.ListDrivesAsync(cancel).ConfigureAwait(false)).Drives.Select(drive => drive.Name));

    public static IEnumerable<string> Snapshots(CompletionContext context, Argument<string> drive) =>
        context.ParseResult.GetResult(drive)?.Tokens is [var name, ..]
            ? Ask(context, async (client, cancel) =>
                (await client.ListSnapshotsAsync(name.Value, cancel).ConfigureAwait(false)).Snapshots.Select(one => one.Name))
            : [];

    public static IEnumerable<string> MountDirectories(CompletionContext context) => Ask(context, async (client, cancel) =>
        (await client.GetStatusAsync(cancel).ConfigureAwait(false)).Mounts.Select(mount => mount.Directory));

    private static IEnumerable<string> Ask(
        CompletionContext context, Func<ControlClient, CancellationToken, Task<IEnumerable<string>>> question)
    {
        try
        {
            using CancellationTokenSource patience = new(Patience);
            using ControlClient client = new CommandContext(context.ParseResult).Connect();

            // House: completion sources are synchronous, and this process does nothing else; the time is bounded.
            return question(client, patience.Token).GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is CommandException or OperationCanceledException)
        {
            return [];
        }
    }
}
