using System.Runtime.CompilerServices;

namespace KvFs.Protocol.Tests.Support;

/// <summary>How long a test waits for what must come: what hangs becomes a failure that says what it waited for.</summary>
internal static class Patience
{
    public static readonly TimeSpan Time = TimeSpan.FromMinutes(1);

    /// <summary>Waits until something holds, which then holds until the test goes on: it is not looked at all the time.</summary>
    public static void WaitFor(Func<bool> holds, [CallerArgumentExpression(nameof(holds))] string what = "") =>
        Assert.True(SpinWait.SpinUntil(holds, Time), $"did not come within {Time}: {what}");

    /// <summary>Waits for bytes, or whatever a call with a token brings.</summary>
    public static async ValueTask<T> WaitForAsync<T>(
        Func<CancellationToken, ValueTask<T>> call, [CallerArgumentExpression(nameof(call))] string what = "")
    {
        using CancellationTokenSource limit = new(Time);
        try
        {
            return await call(limit.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            throw new TimeoutException($"did not come within {Time}: {what}");
        }
    }
}
