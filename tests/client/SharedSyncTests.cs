using System.Threading.Channels;
using KvFs.Core;

namespace KvFs.Client.Tests;

public sealed class SharedSyncTests
{
    [Fact]
    public async Task Who_asks_while_one_is_on_its_way_shares_the_next_one()
    {
        Channel<TaskCompletionSource<Status>> asked = Channel.CreateUnbounded<TaskCompletionSource<Status>>();
        SharedSync sync = new(() =>
        {
            TaskCompletionSource<Status> answer = new();
            asked.Writer.TryWrite(answer);
            return new(answer.Task);
        });
        Task<Status> first = sync.SyncAsync();
        Task<Status>[] others = [sync.SyncAsync(), sync.SyncAsync(), sync.SyncAsync()];
        Assert.Equal(1, asked.Reader.Count);
        (await asked.Reader.ReadAsync()).SetResult(Status.Ok);
        Assert.Equal(Status.Ok, await first);
        Assert.All(others, static other => Assert.False(other.IsCompleted));
        (await asked.Reader.ReadAsync()).SetResult(Status.IoError);
        foreach (Task<Status> other in others) { Assert.Equal(Status.IoError, await other); }

        // Nobody is left: the next one who asks is the first again.
        Task<Status> last = sync.SyncAsync();
        (await asked.Reader.ReadAsync()).SetResult(Status.Ok);
        Assert.Equal(Status.Ok, await last);
        Assert.Equal(0, asked.Reader.Count);
    }
}
