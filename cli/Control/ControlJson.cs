using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using KvFs.Cli.Bench;
using KvFs.Cli.Pki;
using KvFs.Cli.Pool;
using KvFs.Cli.Top;

namespace KvFs.Cli.Control;

/// <summary>How messages look as JSON: camelCase, and what a constructor needs must be there.</summary>
/// <remarks>The same types are the output of <c>--output json</c>, so their names are stable.</remarks>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    MaxDepth = MaxDepth)]
[JsonSerializable(typeof(NewDriveRequest))]
[JsonSerializable(typeof(ResizeDriveRequest))]
[JsonSerializable(typeof(CreateSnapshotRequest))]
[JsonSerializable(typeof(RestoreRequest))]
[JsonSerializable(typeof(CloneRequest))]
[JsonSerializable(typeof(MountRequest))]
[JsonSerializable(typeof(UnmountRequest))]
[JsonSerializable(typeof(CheckRequest))]
[JsonSerializable(typeof(StopRequest))]
[JsonSerializable(typeof(DriveReport))]
[JsonSerializable(typeof(DriveList))]
[JsonSerializable(typeof(SnapshotReport))]
[JsonSerializable(typeof(SnapshotList))]
[JsonSerializable(typeof(MountReport))]
[JsonSerializable(typeof(SpaceReport))]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(DoneReport))]
[JsonSerializable(typeof(StopReport))]
[JsonSerializable(typeof(CheckReport))]
[JsonSerializable(typeof(ErrorReport))]
[JsonSerializable(typeof(AnswerLine<StatusReport>))]
[JsonSerializable(typeof(AnswerLine<StopReport>))]
[JsonSerializable(typeof(AnswerLine<CheckReport>))]
[JsonSerializable(typeof(BenchReport))]
[JsonSerializable(typeof(PoolReport))]
[JsonSerializable(typeof(RebalanceReport))]
[JsonSerializable(typeof(ForceReport))]
[JsonSerializable(typeof(RebuildReport))]
[JsonSerializable(typeof(TopSample))]
[JsonSerializable(typeof(TopReport))]
[JsonSerializable(typeof(CertificateList))]
[JsonSerializable(typeof(WrittenReport))]
[JsonSerializable(typeof(RenewReport))]
[JsonSerializable(typeof(VersionReport))]
[JsonSerializable(typeof(ExitCodeList))]
internal sealed partial class ControlJson : JsonSerializerContext
{
    /// <summary>Levels of nesting that a message may have; ours have four.</summary>
    public const int MaxDepth = 8;

    /// <summary>Indented, and with letters of all languages as they are: for terminals and files, not for HTML.</summary>
    public static ControlJson Readable => ReadableJson.Instance;

    /// <summary>Made on first use: the order in which parts of a class are initialized is not defined.</summary>
    private static class ReadableJson
    {
        public static readonly ControlJson Instance = new(new JsonSerializerOptions(Default.Options)
        {
            WriteIndented = true,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        });
    }
}

internal sealed record VersionReport(string Version, string Runtime);

internal sealed record ExitCodeEntry(int Number, CommandLine.ExitCode Name, string Meaning);

internal sealed record ExitCodeList(IReadOnlyList<ExitCodeEntry> ExitCodes);
