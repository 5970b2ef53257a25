using System.CommandLine;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Core;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs drive create</c></summary>
internal static class DriveCreateCommand
{
    private static readonly Argument<string> Drive =
        SharedOptions.Name("drive", "DRIVE", "The new drive's name. " + NameRule.Rule, "the name of a drive");

    private static readonly Option<ulong?> Size = SharedOptions.Size("--size", "Quota of bytes. Default: none.");

    private static readonly Option<ulong?> Inodes = new("--inodes")
    {
        Description = "Quota of files and directories. Default: none.",
        HelpName = "NUMBER",
    };

    private static readonly Option<int?> Spread = new("--spread")
    {
        Description = "Share of a pool's shards that keep the drive's data, in percent. With 0 its data is on the nodes that keep the drive "
            + "itself; with 100 all nodes keep some. It cannot be changed. Default: 0.",
        HelpName = "PERCENT",
    };

    public static Command Build()
    {
        Spread.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<int?>() is < 0 or > ShardOfBlock.MaxSpread)
            {
                result.AddError($"--spread is a percentage, from 0 to {ShardOfBlock.MaxSpread}.");
            }
        });
        return new Command("create", "Makes a drive.") { Drive, Size, Inodes, Spread }
            .WithExamples(
                ("kvfs drive create home --size 10GiB", "a drive that takes 10 GiB at most"),
                ("kvfs drive create scratch", "one that takes what the disk has"),
                ("kvfs drive create lake --spread 100", "one whose data is spread over all nodes of its pool"))
            .Runs(RunAsync);
    }

    private static async Task RunAsync(CommandContext context, CancellationToken cancel)
    {
        using ControlClient client = context.Connect();
        NewDriveRequest request = new(context.Get(Drive), context.Get(Size) ?? 0, context.Get(Inodes) ?? 0, context.Get(Spread) ?? 0);
        DriveReport drive = await client.CreateDriveAsync(request, cancel).ConfigureAwait(false);
        context.Show(drive, ControlJson.Readable.DriveReport, output =>
            output.WriteLine($"Drive '{drive.Name}' is made. Mount it: kvfs mount {drive.Name} DIR"));
    }
}
