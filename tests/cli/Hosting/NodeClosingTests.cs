using KvFs.Cli.Hosting;

namespace KvFs.Cli.Tests.Hosting;

public sealed class NodeClosingTests
{
    [Fact]
    public async Task A_node_is_closed_behind_the_last_request()
    {
        using RequestGate gate = new();
        TaskCompletionSource<int> answer = new();
        Task<int> inside = gate.RunAsync(_ => answer.Task, CancellationToken.None);
        bool isClosed = false;
        NodeClosing closing = new(gate, () =>
        {
            isClosed = true;
            return ValueTask.CompletedTask;
        });
        Task<string?> closed = closing.RunAsync(NodeClosing.Limit, TimeProvider.System);
        Assert.False(isClosed);
        answer.SetResult(1);
        await inside;
        Assert.Null(await closed);
        Assert.True(isClosed);
    }

    [Fact]
    public async Task A_node_whose_disk_does_not_answer_is_given_up_and_that_is_said()
    {
        using RequestGate gate = new();
        using ManualResetEventSlim answers = new();
        NodeClosing closing = new(gate, () =>
        {
            answers.Wait();
            return ValueTask.CompletedTask;
        });
        string? abandoned = await closing.RunAsync(TimeSpan.Zero, TimeProvider.System);
        Assert.Contains("background work and the last sync", abandoned, StringComparison.Ordinal);
        answers.Set();
    }

    [Fact]
    public async Task A_request_that_never_ends_is_given_up_too()
    {
        using RequestGate gate = new();
        TaskCompletionSource<int> answer = new();
        Task<int> inside = gate.RunAsync(_ => answer.Task, CancellationToken.None);
        NodeClosing closing = new(gate, () => throw new InvalidOperationException("It is still in use."));
        string? abandoned = await closing.RunAsync(TimeSpan.Zero, TimeProvider.System);
        Assert.Contains("requests that still used it", abandoned, StringComparison.Ordinal);
        answer.SetResult(1);
        await inside;
    }

    [Fact]
    public async Task A_failure_to_close_is_no_timeout()
    {
        using RequestGate gate = new();
        NodeClosing closing = new(gate, () => throw new TimeoutException("planted"));
        await Assert.ThrowsAsync<TimeoutException>(() => closing.RunAsync(NodeClosing.Limit, TimeProvider.System));
    }
}
