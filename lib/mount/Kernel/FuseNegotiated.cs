namespace KvFs.Mount;

/// <summary>What kernel and server agreed on at INIT.</summary>
public sealed record FuseNegotiated
{
    /// <summary>The kernel's own version is 7 and this.</summary>
    public required uint KernelMinor { get; init; }

    /// <summary>The flags that both sides want: in force from now on.</summary>
    public required FuseInitFlags Granted { get; init; }

    /// <summary>All that the kernel offered.</summary>
    public required FuseInitFlags Offered { get; init; }

    /// <summary>Bytes of the largest WRITE, and of the largest READ, of this connection.</summary>
    public required int MaxRequestBytes { get; init; }

    public required uint MaxReadaheadBytes { get; init; }

    public required ushort MaxBackground { get; init; }

    public required ushort CongestionThreshold { get; init; }

    public bool Has(FuseInitFlags flag) => (Granted & flag) == flag;
}
