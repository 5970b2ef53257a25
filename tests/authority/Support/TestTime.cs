namespace KvFs.Authority.Tests.Support;

/// <summary>Ends what would otherwise hang; far longer than anything takes.</summary>
internal static class TestTime
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    internal static CancellationToken Limit() => new CancellationTokenSource(Hang).Token;
}
