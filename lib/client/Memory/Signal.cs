namespace KvFs.Client;

/// <summary>Lets callers wait for the next time that something happens.</summary>
/// <remarks>Guarded by its owner's lock: whoever sees under it that he must wait takes the task under it, too, and so
/// misses nothing. Costs nothing while nobody waits.</remarks>
internal sealed class Signal
{
    private TaskCompletionSource? next;

    public Task WaitAsync() => (next ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Raise()
    {
        next?.SetResult();
        next = null;
    }
}
