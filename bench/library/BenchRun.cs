namespace KvFs.Bench;

/// <summary>What a row works with.</summary>
internal sealed record BenchRun(PoolUnderTest Pool, BenchOptions Options, UsageMeter Meter, Results Results, CancellationToken Cancel);
