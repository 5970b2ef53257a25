namespace KvFs.Protocol;

/// <summary>Sources of cancellation that end with what they belong to.</summary>
public static class CancellationSources
{
    /// <summary>Cancels it, unless what it belongs to has ended already and has disposed it.</summary>
    public static void CancelIfAlive(this CancellationTokenSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // There is nothing left to cancel.
        }
    }
}
