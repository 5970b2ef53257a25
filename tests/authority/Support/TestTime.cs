namespace KvFs.Authority.Tests.Support;

/// <summary>Ends what would otherwise hang; far longer than anything takes.</summary>
internal static class TestTime
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    /// <summary>How long etcd is asked where the test is not about that: a busy machine is slow, and not wrong.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    internal static CancellationToken Limit() => new CancellationTokenSource(Hang).Token;
}
