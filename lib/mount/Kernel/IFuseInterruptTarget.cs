namespace KvFs.Mount;

/// <summary>Learns that the program behind a waiting request got a signal.</summary>
public interface IFuseInterruptTarget
{
    /// <summary>Called at most once per registration, on the worker that read the interrupt. The request may be
    /// answered by another thread at this very moment: end the wait under the waiter's own rule, or use
    /// <see cref="FuseRequest.TryReply"/> (EINTR) on both sides.</summary>
    void Interrupted(FuseRequest request);
}
