namespace KvFs.Mount;

/// <summary>Hands faults to the owner's callback.</summary>
internal sealed class FuseFaultLog(Action<FuseFault>? callback)
{
    public void Report(
        FuseFaultKind kind, in FuseInHeader header, int errorNumber, string message, Exception? exception = null) =>
        Report(new FuseFault(kind, header.Opcode, header.Unique, errorNumber, message, exception));

    public void Report(FuseFault fault)
    {
        try
        {
            callback?.Invoke(fault);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // A log that fails must not take down a mount that works.
            Console.Error.WriteLine($"{fault.Message} (and the log callback threw {e.GetType().Name}: {e.Message})");
        }
    }
}
