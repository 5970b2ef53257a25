using KvFs.Core;

namespace KvFs.Mount;

/// <summary>Counts what goes on after its request's handler has returned, so that the mount's end can wait for the last of
/// it: it uses the client, which then goes.</summary>
/// <remarks>Thread safe. Work begins on a worker's thread, or within other late work: so none begins once the workers have
/// ended and the last has ended.</remarks>
internal sealed class LateWork
{
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // One more than there is work, until somebody waits for the end.
    private int count = 1;

    /// <summary>Work goes on; <see cref="End"/> must follow.</summary>
    public void Begin()
    {
        int now = Interlocked.Increment(ref count);
        Invariant.Check(now > 1);
    }

    public void End()
    {
        if (Interlocked.Decrement(ref count) == 0) { ended.SetResult(); }
    }

    /// <summary>Waits for the last work. Once only, after the workers have ended.</summary>
    public Task WaitAsync()
    {
        End();
        return ended.Task;
    }
}
