using System.Runtime.InteropServices;

namespace KvFs.Cli.Hosting;

/// <summary>Turns SIGINT (Ctrl-C), SIGTERM and SIGHUP into something to wait for, instead of the process's end.</summary>
/// <remarks>Each signal counts: the first asks politely, a further one insists.</remarks>
internal sealed class StopSignals : IDisposable
{
    private readonly List<PosixSignalRegistration> registrations = [];
    private readonly SemaphoreSlim arrived = new(0);
    private readonly CancellationTokenSource first = new();

    public StopSignals()
    {
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
        {
            registrations.Add(PosixSignalRegistration.Create(signal, OnSignal));
        }
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken First => first.Token;

    /// <summary>Waits for the next signal that nobody has waited for.</summary>
    public Task NextAsync(CancellationToken cancel) => arrived.WaitAsync(cancel);

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in registrations) { registration.Dispose(); }
        arrived.Dispose();
        first.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        arrived.Release();
        first.Cancel();
    }
}
