namespace KvFs.Protocol.Tests.Support;

/// <summary>What a handler waits for until a test lets it go on, at the latest at the test's end: else a test that fails
/// before would leave the call behind, and its world would tell of that instead of the failure.</summary>
internal sealed class Held : IDisposable
{
    private readonly TaskCompletionSource source = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Task => source.Task;

    /// <summary>Waits as for a slow disk: with the thread.</summary>
    public void Wait() => source.Task.Wait(CancellationToken.None);

    public void Release() => source.TrySetResult();

    public void Dispose() => Release();
}
