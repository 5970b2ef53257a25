namespace KvFs.Grpc;

/// <summary>The health service that load balancers, kubelets and <c>grpc_health_probe</c> ask.</summary>
/// <remarks>Thread safe. The empty name stands for the whole server; a name that was never set is unknown.
/// Source: doc/health-checking.md of grpc/grpc.</remarks>
public sealed class HealthService
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, ServingStatus> states = new(StringComparer.Ordinal);
    private TaskCompletionSource changed = NewSignal();

    /// <summary>Adds Check and Watch to a server's methods.</summary>
    public void AddTo(GrpcServices services)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.Unary(HealthMethods.Check, Check);
        services.ServerStreaming(HealthMethods.Watch, WatchAsync);
    }

    /// <summary>Says how a service is from now on, and tells those who watch it.</summary>
    public void Set(string service, ServingStatus status)
    {
        TaskCompletionSource told;
        lock (gate)
        {
            states[service] = status;
            told = changed;
            changed = NewSignal();
        }
        told.TrySetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ValueTask<ServingStatus> Check(string service, ServerCall call)
    {
        (ServingStatus status, _) = Look(service);
        return status != ServingStatus.ServiceUnknown
            ? new ValueTask<ServingStatus>(status)
            : throw new GrpcException(GrpcStatusCode.NotFound, $"there is no service {service} here");
    }

    /// <summary>The status now, and each other one later. A watch does not hold up a server that stops.</summary>
    private async ValueTask WatchAsync(string service, MessageWriter<ServingStatus> output, ServerCall call)
    {
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(call.Cancellation, call.Draining);
        ServingStatus? told = null;
        while (true)
        {
            (ServingStatus status, Task next) = Look(service);
            if (status != told)
            {
                if (!await output.WriteAsync(status, call.Cancellation).ConfigureAwait(false)) { return; }
                told = status;
            }
            try
            {
                await next.WaitAsync(over.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (call.Draining.IsCancellationRequested)
            {
                throw new GrpcException(GrpcStatusCode.Unavailable, "the server is stopping");
            }
        }
    }

    private (ServingStatus Status, Task Changed) Look(string service)
    {
        lock (gate) { return (states.GetValueOrDefault(service, ServingStatus.ServiceUnknown), changed.Task); }
    }
}
