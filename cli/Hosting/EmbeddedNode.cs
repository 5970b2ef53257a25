using KvFs.Cli.Control;
using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>The one place where the storage node and the mount are put together.</summary>
internal sealed class EmbeddedNode : IAsyncDisposable
{
    private EmbeddedNode(IDriveAdmin admin) => Admin = admin;

    public IDriveAdmin Admin { get; }

    /// <exception cref="StorageException">The data folder cannot be used; the message says what to do.</exception>
    public static EmbeddedNode Open(string dataPath, string nodeName, ILoggerFactory loggers) =>
        throw new StorageException(
            Status.NotSupported, $"This build has no storage node ({nodeName} on {dataPath}, {loggers.GetType().Name}).");

    public NodeReport GetStatus() => new(string.Empty, null, Admin is not null, null);

    public IActiveMount StartMount(IDriveSession session, string directory, bool readOnly) =>
        throw new StorageException(
            Status.NotSupported, $"This build has no mount ({session.Drive} on {directory}, {readOnly}, {Admin}).");

    public Task<CheckReport> CheckAsync(
        bool readBytes, IProgress<ProgressReport> progress, CancellationToken cancellationToken) =>
        throw new StorageException(Status.NotSupported, $"This build has no checks ({readBytes}, {progress}, {Admin}).");

    public static Task<CheckReport> CheckOfflineAsync(
        string dataPath, bool readBytes, bool repair, IProgress<ProgressReport> progress, ILoggerFactory loggers,
        CancellationToken cancellationToken) =>
        throw new StorageException(Status.NotSupported, $"This build has no checks ({dataPath}, {readBytes}, {repair}).");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
