using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Control;

/// <summary>Which request does what. Paths and types are the protocol; <see cref="ControlClient"/> is its other end.</summary>
/// <remarks>
/// <code>
/// GET    /v1/status                                     StatusReport
/// GET    /v1/space                                      SpaceReport
/// GET    /v1/sample                                     TopSample
/// GET    /v1/drives                                     DriveList
/// POST   /v1/drives              NewDriveRequest     DriveReport
/// GET    /v1/drives/{drive}                             DriveReport
/// PATCH  /v1/drives/{drive}      ResizeDriveRequest     DriveReport
/// DELETE /v1/drives/{drive}                             DoneReport
/// POST   /v1/drives/{drive}/clones  CloneRequest        DriveReport
/// GET    /v1/drives/{drive}/snapshots                   SnapshotList
/// POST   /v1/drives/{drive}/snapshots  CreateSnapshotRequest    SnapshotReport
/// DELETE /v1/drives/{drive}/snapshots/{snapshot}        DoneReport
/// POST   /v1/drives/{drive}/snapshots/{snapshot}/restore  RestoreRequest   DoneReport
/// POST   /v1/mounts              MountRequest           MountReport
/// POST   /v1/unmount             UnmountRequest         DoneReport
/// POST   /v1/check               CheckRequest           lines of AnswerLine&lt;CheckReport&gt;
/// POST   /v1/stop                StopRequest            lines of AnswerLine&lt;StopReport&gt;
/// </code>
/// An error is an <see cref="ErrorReport"/> under a status of 4xx or 5xx, or, once lines are sent, the last line.
/// </remarks>
internal sealed class ControlRoutes(NodeServer server, ILoggerFactory loggers)
{
    public void MapInto(IEndpointRouteBuilder routes)
    {
        ControlJson json = ControlJson.Default;
        DriveDesk drives = server.Drives;
        On(routes, "GET", "/v1/status", json.StatusReport, (_, cancel) => server.GetStatusAsync(cancel));
        On(routes, "GET", "/v1/space", json.SpaceReport, (_, cancel) => drives.GetSpaceAsync(cancel));
        On(routes, "GET", "/v1/sample", json.TopSample, (_, cancel) => server.SampleAsync(cancel));
        On(routes, "GET", "/v1/drives", json.DriveList, (_, cancel) => drives.ListAsync(cancel));
        On(routes, "POST", "/v1/drives", json.NewDriveRequest, json.DriveReport,
            (_, request, cancel) => drives.CreateAsync(request, cancel));
        On(routes, "GET", "/v1/drives/{drive}", json.DriveReport, (at, cancel) => drives.GetAsync(at.Drive, cancel));
        On(routes, "PATCH", "/v1/drives/{drive}", json.ResizeDriveRequest, json.DriveReport,
            (at, request, cancel) => drives.ResizeAsync(at.Drive, request, cancel));
        On(routes, "DELETE", "/v1/drives/{drive}", json.DoneReport, (at, cancel) => drives.DeleteAsync(at.Drive, cancel));
        On(routes, "POST", "/v1/drives/{drive}/clones", json.CloneRequest, json.DriveReport,
            (at, request, cancel) => drives.CloneAsync(at.Drive, request, cancel));
        MapSnapshots(routes, json, drives);
        On(routes, "POST", "/v1/mounts", json.MountRequest, json.MountReport,
            (_, request, cancel) => server.Mounts.MountAsync(request, cancel));
        On(routes, "POST", "/v1/unmount", json.UnmountRequest, json.DoneReport,
            (_, request, cancel) => server.Mounts.UnmountAsync(request, cancel));
        OnLong(routes, "/v1/check", json.CheckRequest, json.AnswerLineCheckReport,
            (request, progress, cancel) => server.Requests.RunAsync(inside => server.CheckAsync(request, progress, inside), cancel));
        OnLong(routes, "/v1/stop", json.StopRequest, json.AnswerLineStopReport, server.StopAsync);
    }

    private void MapSnapshots(IEndpointRouteBuilder routes, ControlJson json, DriveDesk drives)
    {
        const string all = "/v1/drives/{drive}/snapshots";
        const string one = all + "/{snapshot}";
        On(routes, "GET", all, json.SnapshotList, (at, cancel) => drives.ListSnapshotsAsync(at.Drive, cancel));
        On(routes, "POST", all, json.CreateSnapshotRequest, json.SnapshotReport,
            (at, request, cancel) => drives.CreateSnapshotAsync(at.Drive, request, cancel));
        On(routes, "DELETE", one, json.DoneReport,
            (at, cancel) => drives.DeleteSnapshotAsync(at.Drive, at.Snapshot, cancel));
        On(routes, "POST", one + "/restore", json.RestoreRequest, json.DoneReport,
            (at, request, cancel) => drives.RestoreAsync(at.Drive, at.Snapshot, request, cancel));
    }

    /// <summary>A request without a body.</summary>
    private void On<TAnswer>(
        IEndpointRouteBuilder routes, string method, string path, JsonTypeInfo<TAnswer> type,
        Func<PathNames, CancellationToken, Task<TAnswer>> handler)
    {
        routes.MapMethods(path, [method], ServeAsync);

        async Task ServeAsync(HttpContext context)
        {
            TAnswer answer = await server.Requests.RunAsync(
                inside => handler(new PathNames(context), inside), context.RequestAborted).ConfigureAwait(false);
            await WriteAsync(context, answer, type).ConfigureAwait(false);
        }
    }

    /// <summary>A request with a body.</summary>
    private void On<TRequest, TAnswer>(
        IEndpointRouteBuilder routes, string method, string path, JsonTypeInfo<TRequest> requestType,
        JsonTypeInfo<TAnswer> answerType, Func<PathNames, TRequest, CancellationToken, Task<TAnswer>> handler)
    {
        routes.MapMethods(path, [method], ServeAsync);

        async Task ServeAsync(HttpContext context)
        {
            TRequest request = await ReadAsync(context, requestType).ConfigureAwait(false);
            TAnswer answer = await server.Requests.RunAsync(
                inside => handler(new PathNames(context), request, inside), context.RequestAborted).ConfigureAwait(false);
            await WriteAsync(context, answer, answerType).ConfigureAwait(false);
        }
    }

    /// <summary>A request that may take long: a line for each step of progress and, last, the result or the error.</summary>
    private void OnLong<TRequest, TResult>(
        IEndpointRouteBuilder routes, string path, JsonTypeInfo<TRequest> requestType,
        JsonTypeInfo<AnswerLine<TResult>> lineType,
        Func<TRequest, IProgress<ProgressReport>, CancellationToken, Task<TResult>> handler)
        where TResult : class
    {
        routes.MapMethods(path, ["POST"], ServeAsync);

        async Task ServeAsync(HttpContext context)
        {
            TRequest request = await ReadAsync(context, requestType).ConfigureAwait(false);
            context.Response.ContentType = "application/x-ndjson";
            await using LineWriter<TResult> lines = new(context.Response.Body, lineType);
            try
            {
                TResult result = await handler(request, lines, context.RequestAborted).ConfigureAwait(false);
                await lines.FinishAsync(new AnswerLine<TResult>(Result: result)).ConfigureAwait(false);
            }
            catch (Exception e) when (e is not OperationCanceledException || !context.RequestAborted.IsCancellationRequested)
            {
                await lines.FinishAsync(new AnswerLine<TResult>(Error: ControlErrors.From(e, loggers))).ConfigureAwait(false);
            }
        }
    }

    private static Task WriteAsync<T>(HttpContext context, T answer, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(context.Response.Body, answer, type, context.RequestAborted);
    }

    private static async ValueTask<TRequest> ReadAsync<TRequest>(HttpContext context, JsonTypeInfo<TRequest> type)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync(context.Request.Body, type, context.RequestAborted)
                    .ConfigureAwait(false)
                ?? throw new CommandException(ExitCode.Usage, "The request's body is null.");
        }
        catch (JsonException e)
        {
            throw new CommandException(ExitCode.Usage, $"The request's body is not what it must be: {e.Message}");
        }
    }

    /// <summary>The names in a request's path, checked.</summary>
    private readonly struct PathNames(HttpContext context)
    {
        public string Drive => Name("drive");

        public string Snapshot => Name("snapshot");

        private string Name(string what)
        {
            string name = context.GetRouteValue(what) as string ?? string.Empty;
            NameRule.Check(name, $"the name of a {what}");
            return name;
        }
    }
}
