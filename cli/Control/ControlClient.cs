using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Native;
using KvFs.Cli.Top;

namespace KvFs.Cli.Control;

/// <summary>Asks the process that serves a data folder. Its other end, with the list of requests, is
/// <see cref="ControlRoutes"/>.</summary>
/// <remarks>Not thread safe: one request at a time. Every method throws <see cref="CommandException"/> for whatever goes
/// wrong.</remarks>
internal sealed class ControlClient : IDisposable
{
    private static readonly MediaTypeHeaderValue JsonType = new("application/json");

    private readonly string dataPath;
    private readonly HttpClient http;

    /// <summary>The request under way has had a connection of its own.</summary>
    private bool isConnected;

    /// <param name="dataPath">The data folder.</param>
    public ControlClient(string dataPath)
    {
        this.dataPath = dataPath;
        http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = ConnectAsync,
            UseProxy = false,
            AllowAutoRedirect = false,
        })
        {
            // The name is never looked up: the callback connects. A restore may take long; Ctrl-C ends it.
            BaseAddress = new Uri("http://kvfs/"),
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    private static ControlJson Json => ControlJson.Default;

    public Task<StatusReport> GetStatusAsync(CancellationToken cancel) => GetAsync("v1/status", Json.StatusReport, cancel);

    public Task<SpaceReport> GetSpaceAsync(CancellationToken cancel) => GetAsync("v1/space", Json.SpaceReport, cancel);

    public Task<TopSample> GetSampleAsync(CancellationToken cancel) => GetAsync("v1/sample", Json.TopSample, cancel);

    public Task<DriveList> ListDrivesAsync(CancellationToken cancel) => GetAsync("v1/drives", Json.DriveList, cancel);

    public Task<DriveReport> GetDriveAsync(string drive, CancellationToken cancel) =>
        GetAsync(DrivePath(drive), Json.DriveReport, cancel);

    public Task<DriveReport> CreateDriveAsync(NewDriveRequest request, CancellationToken cancel) =>
        SendAsync(HttpMethod.Post, "v1/drives", request, Json.NewDriveRequest, Json.DriveReport, cancel);

    public Task<DriveReport> ResizeDriveAsync(string drive, ResizeDriveRequest request, CancellationToken cancel) =>
        SendAsync(HttpMethod.Patch, DrivePath(drive), request, Json.ResizeDriveRequest, Json.DriveReport, cancel);

    public Task<DoneReport> DeleteDriveAsync(string drive, CancellationToken cancel) =>
        DeleteAsync(DrivePath(drive), cancel);

    public Task<DriveReport> CloneAsync(string drive, CloneRequest request, CancellationToken cancel) =>
        SendAsync(HttpMethod.Post, DrivePath(drive) + "/clones", request, Json.CloneRequest, Json.DriveReport, cancel);

    public Task<SnapshotList> ListSnapshotsAsync(string drive, CancellationToken cancel) =>
        GetAsync(SnapshotsPath(drive), Json.SnapshotList, cancel);

    public Task<SnapshotReport> CreateSnapshotAsync(string drive, CreateSnapshotRequest request, CancellationToken cancel) =>
        SendAsync(
            HttpMethod.Post, SnapshotsPath(drive), request, Json.CreateSnapshotRequest, Json.SnapshotReport, cancel);

    public Task<DoneReport> DeleteSnapshotAsync(string drive, string snapshot, CancellationToken cancel) =>
        DeleteAsync(SnapshotPath(drive, snapshot), cancel);

    public Task<DoneReport> RestoreAsync(string drive, string snapshot, RestoreRequest request, CancellationToken cancel) =>
        SendAsync(
            HttpMethod.Post, SnapshotPath(drive, snapshot) + "/restore", request, Json.RestoreRequest, Json.DoneReport, cancel);

    public Task<MountReport> MountAsync(MountRequest request, CancellationToken cancel) =>
        SendAsync(HttpMethod.Post, "v1/mounts", request, Json.MountRequest, Json.MountReport, cancel);

    public Task<DoneReport> UnmountAsync(UnmountRequest request, CancellationToken cancel) =>
        SendAsync(HttpMethod.Post, "v1/unmount", request, Json.UnmountRequest, Json.DoneReport, cancel);

    public Task<CheckReport> CheckAsync(
        CheckRequest request, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        SendForLinesAsync("v1/check", request, Json.CheckRequest, Json.AnswerLineCheckReport, progress, cancel);

    public Task<StopReport> StopAsync(StopRequest request, IProgress<ProgressReport> progress, CancellationToken cancel) =>
        SendForLinesAsync("v1/stop", request, Json.StopRequest, Json.AnswerLineStopReport, progress, cancel);

    public void Dispose() => http.Dispose();

    private static string DrivePath(string drive) => $"v1/drives/{Uri.EscapeDataString(drive)}";

    private static string SnapshotsPath(string drive) => DrivePath(drive) + "/snapshots";

    private static string SnapshotPath(string drive, string snapshot) =>
        $"{SnapshotsPath(drive)}/{Uri.EscapeDataString(snapshot)}";

    private async Task<TAnswer> GetAsync<TAnswer>(string path, JsonTypeInfo<TAnswer> type, CancellationToken cancel)
    {
        using HttpRequestMessage message = new(HttpMethod.Get, path);
        return await AnswerAsync(message, type, cancel).ConfigureAwait(false);
    }

    private async Task<DoneReport> DeleteAsync(string path, CancellationToken cancel)
    {
        using HttpRequestMessage message = new(HttpMethod.Delete, path);
        return await AnswerAsync(message, Json.DoneReport, cancel).ConfigureAwait(false);
    }

    private async Task<TAnswer> SendAsync<TRequest, TAnswer>(
        HttpMethod method, string path, TRequest request, JsonTypeInfo<TRequest> requestType,
        JsonTypeInfo<TAnswer> answerType, CancellationToken cancel)
    {
        using HttpRequestMessage message = Message(method, path, request, requestType);
        return await AnswerAsync(message, answerType, cancel).ConfigureAwait(false);
    }

    private async Task<TAnswer> AnswerAsync<TAnswer>(
        HttpRequestMessage message, JsonTypeInfo<TAnswer> type, CancellationToken cancel)
    {
        using HttpResponseMessage response = await SendAsync(message, cancel).ConfigureAwait(false);
        try
        {
            await using Stream body = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
            return await JsonSerializer.DeserializeAsync(body, type, cancel).ConfigureAwait(false) ?? throw Unreadable();
        }
        catch (JsonException)
        {
            throw Unreadable();
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Lost();
        }
    }

    private async Task<TResult> SendForLinesAsync<TRequest, TResult>(
        string path, TRequest request, JsonTypeInfo<TRequest> requestType, JsonTypeInfo<AnswerLine<TResult>> lineType,
        IProgress<ProgressReport> progress, CancellationToken cancel)
        where TResult : class
    {
        using HttpRequestMessage message = Message(HttpMethod.Post, path, request, requestType);
        using HttpResponseMessage response = await SendAsync(message, cancel).ConfigureAwait(false);
        try
        {
            await using Stream body = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
            return await LineReader.ReadAsync(body, lineType, progress, cancel).ConfigureAwait(false) ?? throw Lost();
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Lost();
        }
    }

    private static HttpRequestMessage Message<TRequest>(
        HttpMethod method, string path, TRequest request, JsonTypeInfo<TRequest> type)
    {
        ByteArrayContent content = new(JsonSerializer.SerializeToUtf8Bytes(request, type));
        content.Headers.ContentType = JsonType;
        return new HttpRequestMessage(method, path) { Content = content };
    }

    /// <summary>Connects once for a request. HttpClient would send a request again whose connection ended without an answer;
    /// but it may have been carried out.</summary>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        if (isConnected) { throw new EndOfStreamException(); }
        Stream stream = await ControlSocket.ConnectAsync(dataPath, cancel).ConfigureAwait(false);
        isConnected = true;
        return stream;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage message, CancellationToken cancel)
    {
        isConnected = false;
        HttpResponseMessage response;
        try
        {
            response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            throw CannotReach(e);
        }
        if (response.IsSuccessStatusCode) { return response; }
        using (response) { throw await ReadErrorAsync(response, cancel).ConfigureAwait(false); }
    }

    private static async Task<CommandException> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        try
        {
            await using Stream body = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
            ErrorReport? report =
                await JsonSerializer.DeserializeAsync(body, Json.ErrorReport, cancel).ConfigureAwait(false);
            return report is null ? Unreadable() : ControlErrors.ToException(report.Error);
        }
        catch (Exception e) when (e is JsonException or IOException or HttpRequestException)
        {
            return response.StatusCode == HttpStatusCode.ServiceUnavailable
                ? new CommandException(ExitCode.InUse, "The process has too many commands at once.", "Try again.")
                : Unreadable();
        }
    }

    private CommandException CannotReach(HttpRequestException failure) => failure.InnerException switch
    {
        SocketException { SocketErrorCode: SocketError.AccessDenied } when Posix.access(dataPath, Posix.PassOk) != 0 => new(
            ExitCode.NotPermitted, $"This user may not look into the data folder {dataPath}.",
            "Run kvfs as the folder's owner, or name another one with --data."),
        SocketException { SocketErrorCode: SocketError.AccessDenied } => new(
            ExitCode.NotPermitted, $"This user may not control the kvfs that runs on {dataPath}.",
            "Only the user who started it, and root, may."),
        SocketException or IOException when !isConnected && failure.HttpRequestError == HttpRequestError.ConnectionError => NotRunning(),
        _ => Lost(),
    };

    private CommandException NotRunning() => new(
        ExitCode.NotRunning, $"No kvfs runs on {dataPath}.",
        $"Start it with `kvfs up --data {dataPath}`, or name another folder with --data or {DataFolder.Variable}.");

    private CommandException Lost() => new(
        ExitCode.Failure, $"The kvfs that ran on {dataPath} ended before it answered.",
        "It may have done what was asked. Its log says why it ended.");

    private static CommandException Unreadable() => new(
        ExitCode.Failure, "The answer cannot be read.", "The kvfs that runs may be of another version: restart it.");
}
