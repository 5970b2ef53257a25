using System.CommandLine;
using System.Runtime.InteropServices;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;
using KvFs.Cli.Hosting;

namespace KvFs.Cli.Commands;

/// <summary><c>kvfs version</c></summary>
internal static class VersionCommand
{
    public static Command Build() => new Command("version", "Shows the version.")
        .WithExamples(("kvfs version -o json", "for programs"))
        .Runs(context =>
        {
            VersionReport version = new(ProductVersion.Text, RuntimeInformation.FrameworkDescription);
            context.Show(version, ControlJson.Readable.VersionReport, output =>
                output.WriteLine($"kvfs {version.Version} ({version.Runtime})"));
        });
}
