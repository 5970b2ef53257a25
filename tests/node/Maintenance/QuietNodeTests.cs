namespace KvFs.Node.Tests.Maintenance;

/// <summary>Tests that have a quiet node over a folder of their own each.</summary>
public abstract class QuietNodeTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("kvfs-quiet-").FullName;
    private QuietNode? node;

    private protected QuietNode Node => node!;

    public Task InitializeAsync()
    {
        node = QuietNode.Open(folder);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await Node.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}
