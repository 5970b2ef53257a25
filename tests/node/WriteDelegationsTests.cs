using KvFs.Core;
using KvFs.Node.Drives;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

public sealed class WriteDelegationsTests
{
    private static readonly SessionId s_one = new(1);
    private static readonly SessionId s_other = new(2);
    private static readonly VNodeId s_file = new(7);

    private readonly WriteDelegations writes = new();
    private readonly Client client = new();

    public WriteDelegationsTests() => writes.Add(s_one, client);

    [Fact]
    public async Task Who_asks_for_a_file_waits_until_it_is_given_back()
    {
        writes.Leave(s_file, s_one);
        Assert.True(writes.HasNoOthers(s_one));
        Assert.False(writes.HasNoOthers(s_other));
        Assert.Equal(Status.Ok, writes.Settle(s_one, [s_file]));
        Assert.Equal(Status.Ok, writes.Settle(s_other, [new(8)]));

        // What the node does to it in nobody's name waits for nobody.
        Assert.Equal(Status.Ok, writes.Settle(default, [s_file]));
        Task<Status>[] waiting = [Task.Run(() => writes.Settle(s_other, [s_file])), Task.Run(() => writes.Settle(new(3), [s_file, new(8)]))];
        Assert.Equal([s_file], await client.AskedAsync());
        writes.Take(s_one, [s_file]);
        Assert.All(await Task.WhenAll(waiting), static status => Assert.Equal(Status.Ok, status));
        client.Answer(Status.Ok);
        Assert.Equal(0, writes.Count);
        Assert.Equal(1, client.Asked);
    }

    [Fact]
    public void What_was_given_back_since_a_sample_is_to_be_looked_at_again()
    {
        long before = writes.Sample();
        writes.Leave(s_file, s_one);
        Assert.False(writes.IsSettled(s_other, s_file, before));
        Assert.True(writes.IsSettled(s_one, s_file, before));
        Assert.True(writes.HasOthers(s_other, [new(8), s_file]));
        long between = writes.Sample();
        writes.Take(s_one, [s_file]);
        Assert.False(writes.IsSettled(s_other, s_file, between));
        Assert.True(writes.IsSettled(s_other, s_file, writes.Sample()));
        Assert.False(writes.HasOthers(s_other, [s_file]));

        // Not his who gives it.
        writes.Leave(s_file, s_one);
        writes.Take(s_other, [s_file]);
        Assert.Equal(1, writes.Count);
    }

    [Fact]
    public async Task Who_cannot_commit_says_why_and_is_asked_again_next_time()
    {
        writes.Leave(s_file, s_one);
        Task<Status> waiting = Task.Run(() => writes.Settle(s_other, [s_file]));
        await client.AskedAsync();
        client.Answer(Status.NoSpace);
        Assert.Equal(Status.NoSpace, await waiting);
        Assert.Equal(1, writes.Count);
        waiting = Task.Run(() => writes.Settle(s_other, [s_file]));
        await client.AskedAsync();
        Assert.Equal(2, client.Asked);

        // One that says it has, and has not.
        client.Answer(Status.Ok);
        Assert.Equal(Status.IoError, await waiting);
    }

    [Fact]
    public async Task What_an_ended_session_had_is_free_only_when_it_has_ended()
    {
        writes.Leave(s_file, s_one);
        writes.Leave(new(8), s_other);
        Task<Status> waiting = Task.Run(() => writes.Settle(s_other, [s_file]));
        Task<Status> own = Task.Run(() => writes.Settle(s_one, [new(8)]));
        await client.AskedAsync();
        writes.OnEnding(s_one);
        Assert.Equal(Status.SessionExpired, await own);
        client.Answer(Status.SessionExpired);
        Assert.False(waiting.IsCompleted);
        writes.End(s_one);
        Assert.Equal(Status.Ok, await waiting);

        // And of one that is not known yet.
        SessionId absent = new(4);
        writes.Leave(s_file, absent);
        waiting = Task.Run(() => writes.Settle(s_other, [s_file]));
        Client late = new();
        while (late.Asked == 0) { writes.Add(absent, late); }
        Assert.Equal([s_file], await late.AskedAsync());
        writes.End();
        Assert.Equal(Status.StaleEpoch, await waiting);
    }

    [Fact]
    public async Task What_is_left_with_somebody_anew_is_not_waited_for_and_an_old_answer_is_not_about_it()
    {
        SessionId third = new(3);
        writes.Leave(s_file, s_one);
        writes.Leave(new(8), s_one);
        Task<Status> waiting = Task.Run(() => writes.Settle(s_other, [s_file, new(8)]));
        await client.AskedAsync();
        writes.Take(s_one, [s_file]);
        writes.Leave(s_file, third);
        Assert.False(waiting.IsCompleted);
        writes.Take(s_one, [new(8)]);
        Assert.Equal(Status.Ok, await waiting);

        // Asked for again, by somebody else, before the first answer is here.
        writes.Take(third, [s_file]);
        writes.Leave(s_file, s_one);
        waiting = Task.Run(() => writes.Settle(s_other, [s_file]));
        await client.AskedAsync();
        client.AnswerFirst(Status.Ok);
        Assert.False(waiting.IsCompleted);
        writes.Take(s_one, [s_file]);
        Assert.Equal(Status.Ok, await waiting);
    }

    [Fact]
    public async Task While_it_is_paused_nothing_is_left_with_anybody_and_all_can_be_had()
    {
        writes.Leave(s_file, s_one);
        using (writes.Pause())
        {
            Assert.False(writes.HasRoom(s_other));
            Task<Status> waiting = Task.Run(writes.SettleAll);
            Assert.Equal([s_file], await client.AskedAsync());
            writes.Take(s_one, [s_file]);
            Assert.Equal(Status.Ok, await waiting);
        }

        Assert.True(writes.HasRoom(s_other));
        Assert.Equal(Status.Ok, writes.SettleAll());
    }

    [Fact]
    public void A_session_is_left_a_bounded_number_of_files()
    {
        for (int file = 1; file <= WriteDelegations.MaxFiles; file++)
        {
            Assert.True(writes.HasRoom(s_one));
            writes.Leave(new((ulong)file), s_one);
        }

        Assert.False(writes.HasRoom(s_one));
        Assert.True(writes.HasRoom(s_other));
    }

    /// <summary>Is asked for files, and answers when the test says so.</summary>
    private sealed class Client : ISessionRecall
    {
        private readonly System.Threading.Channels.Channel<IReadOnlyCollection<VNodeId>> asked =
            System.Threading.Channels.Channel.CreateUnbounded<IReadOnlyCollection<VNodeId>>();

        private readonly Queue<TaskCompletionSource<Status>> answers = new();
        private int count;

        public int Asked => Volatile.Read(ref count);

        public async Task<IReadOnlyCollection<VNodeId>> AskedAsync() => await asked.Reader.ReadAsync();

        /// <summary>To all that was asked.</summary>
        public void Answer(Status status)
        {
            while (answers.Count > 0) { AnswerFirst(status); }
        }

        /// <summary>To what was asked first.</summary>
        public void AnswerFirst(Status status) => answers.Dequeue().SetResult(status);

        public ValueTask<Status> FlushAsync() => new(Status.Ok);

        public ValueTask InvalidateAsync() => ValueTask.CompletedTask;

        public ValueTask<Status> ReturnAsync(IReadOnlyCollection<VNodeId> nodes)
        {
            TaskCompletionSource<Status> answer = new();
            answers.Enqueue(answer);
            Interlocked.Increment(ref count);
            asked.Writer.TryWrite(nodes);
            return new(answer.Task);
        }
    }
}
