using KvFs.Cli.CommandLine;
using KvFs.Cli.Hosting;

namespace KvFs.Cli.Tests.Hosting;

public sealed class RequestGateTests
{
    [Fact]
    public async Task Closing_waits_for_the_requests_inside_and_refuses_later_ones()
    {
        using RequestGate gate = new();
        TaskCompletionSource<int> answer = new();
        Task<int> inside = gate.RunAsync(_ => answer.Task, CancellationToken.None);
        Task closed = gate.CloseAsync();
        Assert.False(closed.IsCompleted);
        CommandException late = await Assert.ThrowsAsync<CommandException>(
            () => gate.RunAsync(_ => Task.FromResult(1), CancellationToken.None));
        Assert.Equal(ExitCode.NotRunning, late.Code);

        answer.SetResult(7);
        Assert.Equal(7, await inside);
        await closed;
        await gate.CloseAsync();
    }

    [Fact]
    public async Task Closing_cancels_what_takes_long_and_says_why()
    {
        using RequestGate gate = new();
        Task<int> inside = gate.RunAsync(WaitAsync, CancellationToken.None);
        await gate.CloseAsync();
        CommandException stopped = await Assert.ThrowsAsync<CommandException>(() => inside);
        Assert.Equal(ExitCode.NotRunning, stopped.Code);
    }

    [Fact]
    public async Task A_caller_s_own_cancellation_stays_one()
    {
        using RequestGate gate = new();
        using CancellationTokenSource cancel = new();
        Task<int> inside = gate.RunAsync(WaitAsync, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => inside);
        await gate.CloseAsync();
    }

    [Fact]
    public async Task A_request_that_fails_has_left()
    {
        using RequestGate gate = new();
        await Assert.ThrowsAsync<InvalidOperationException>(
            () => gate.RunAsync<int>(_ => throw new InvalidOperationException(), CancellationToken.None));
        await gate.CloseAsync();
    }

    private static Task<int> WaitAsync(CancellationToken cancel) => new TaskCompletionSource<int>().Task.WaitAsync(cancel);
}
