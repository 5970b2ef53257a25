using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs mount</c></summary>
internal static class MountCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    private static readonly Argument<string> Place = new("directory")
    {
        Description = "Where it appears; made if it is missing, empty if it is there.",
        HelpName = "DIR",
    };

    private static readonly Option<bool> ReadOnly = new("--read-only") { Description = "So that nobody can write." };

    public static Command Build() => new Command("mount", "Mounts a drive, in the running process.")
        {
            Drive, Place, ReadOnly, SharedOptions.Shared, SharedOptions.Dev, SharedOptions.Suid, SharedOptions.NoAtime,
            SharedOptions.Timeout,
        }
        .WithExamples(
            ("kvfs mount experiment /mnt/experiment", "beside what is mounted already"),
            ("kvfs mount old /mnt/old --read-only", "to look only"),
            ("kvfs mount team /srv/team --shared", "while others have it mounted with --shared, too"))
        .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        MountRequest request = new(
            context.Get(Drive),
            Path.GetFullPath(context.Get(Place)),
            context.Get(ReadOnly),
            context.Get(SharedOptions.Shared),
            context.Get(SharedOptions.Dev),
            context.Get(SharedOptions.Suid),
            context.Get(SharedOptions.NoAtime),
            context.Get(SharedOptions.Timeout));
        MountReport mount = await client.MountAsync(request, cancel).ConfigureAwait(false);
        context.Show(mount, ControlJson.Readable.MountReport, output =>
            output.WriteLine($"Drive '{mount.Drive}' is mounted on {mount.Directory}."));
    }
}
