namespace KvFs.Integration.Tests.CommandLine;

/// <summary>One running installation for all tests of a class: each uses names of its own.</summary>
public sealed class RunningInstallation : IAsyncLifetime
{
    internal Installation Installation { get; } = new();

    public Task InitializeAsync() => Installation.UpAsync();

    public async Task DisposeAsync() => await Installation.DisposeAsync();
}
