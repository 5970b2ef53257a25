using KvFs.Grpc.Wire;

namespace KvFs.Grpc.Client;

/// <summary>Until when a call goes on, and what ended it: its one deadline, its caller, or this side being done with it.
/// </summary>
internal sealed class CallLifetime : IDisposable
{
    private readonly CancellationToken caller;
    private readonly CancellationTokenSource source;
    private bool abandoned;

    public CallLifetime(TimeSpan? timeout, CancellationToken caller)
    {
        this.caller = caller;
        source = CancellationTokenSource.CreateLinkedTokenSource(caller);
        // Kept by value: the token is asked for after the end, too.
        Token = source.Token;
        if (timeout is not { } time) { return; }
        if (time <= TimeSpan.Zero) { source.Cancel(); }
        else if (time < CallTime.Longest) { source.CancelAfter(time); }
    }

    public CancellationToken Token { get; }

    /// <summary>The exception that the caller gets for one that ended an operation of this call.</summary>
    public Exception Translate(Exception e)
    {
        if (e is GrpcException) { return e; }
        if (caller.IsCancellationRequested) { return new OperationCanceledException("The call was cancelled.", e, caller); }
        if (abandoned) { return new ObjectDisposedException("The call was disposed.", e); }
        if (Token.IsCancellationRequested)
        {
            return new GrpcException(new GrpcStatus(GrpcStatusCode.DeadlineExceeded, "the time was up"), [], e);
        }
        return new GrpcException(FailureStatus.Of(e), [], e);
    }

    /// <summary>Cancels what still goes on.</summary>
    public void Abandon()
    {
        if (Token.IsCancellationRequested) { return; }
        abandoned = true;
        source.Cancel();
    }

    public void Dispose() => source.Dispose();
}
