using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs drive resize</c></summary>
internal static class DriveResizeCommand
{
    private static readonly Argument<string> Drive = SharedOptions.Drive("The drive.");

    private static readonly Option<ulong?> Size = SharedOptions.Size("--size", "New quota of bytes; 0 removes it.");

    private static readonly Option<ulong?> Inodes = new("--inodes")
    {
        Description = "New quota of files and directories; 0 removes it.",
        HelpName = "NUMBER",
    };

    public static Command Build() => new Command(
        "resize", "Changes a drive's quotas. Below what is used nothing is lost, but nothing more can be written.")
    {
        Drive, Size, Inodes,
    }
    .WithExamples(
        ("kvfs drive resize home --size 20GiB", "now 20 GiB at most"),
        ("kvfs drive resize home --size 0", "without a bound"))
    .Runs(RunAsync);

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        ResizeDriveRequest request = new(context.Get(Size), context.Get(Inodes));
        if (request is { QuotaBytes: null, QuotaInodes: null })
        {
            throw new CommandException(ExitCode.Usage, "Say what to change: --size, --inodes or both.");
        }
        using ControlClient client = context.Connect();
        DriveReport drive = await client.ResizeDriveAsync(context.Get(Drive), request, cancel).ConfigureAwait(false);
        context.Show(drive, ControlJson.Readable.DriveReport, output => DriveView.WriteOne(output, drive));
    }
}
