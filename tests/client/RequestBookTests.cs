using KvFs.Client.Remote;
using KvFs.Core;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Tests;

/// <summary>What is said of a request whose session ends: only what is certain.</summary>
public sealed class RequestBookTests
{
    private static readonly SessionId s_session = new(7);

    private readonly RequestBook book = new();

    [Fact]
    public async Task A_change_that_no_stream_has_brought_was_not_done_and_any_other_may_have_been()
    {
        WaitingRequest kept = book.Add(Change(), s_session);
        kept.Lose();
        Assert.Equal(V1.Status.SessionExpired, (await kept.Answer).Status);
        WaitingRequest sent = book.Add(Change(), s_session);
        sent.NoteSent();
        sent.Lose();
        Assert.Equal(V1.Status.Unknown, (await sent.Answer).Status);
        WaitingRequest read = book.Add(new() { Get = new() }, s_session);
        read.NoteSent();
        read.Lose();
        Assert.Equal(V1.Status.SessionExpired, (await read.Answer).Status);
    }

    /// <remarks>It may have been applied when it came over the first stream, while the session lived.</remarks>
    [Fact]
    public void That_the_session_is_over_says_nothing_of_a_change_that_an_earlier_stream_brought()
    {
        V1.Answer over = new() { Status = V1.Status.SessionExpired };
        WaitingRequest change = book.Add(Change(), s_session);
        change.NoteSent();
        Assert.Same(over, change.Judge(over));
        change.NoteSent();
        Assert.Equal(V1.Status.Unknown, change.Judge(over).Status);
        V1.Answer done = new() { Status = V1.Status.Ok };
        Assert.Same(done, change.Judge(done));
        WaitingRequest read = book.Add(new() { Get = new() }, s_session);
        read.NoteSent();
        read.NoteSent();
        Assert.Equal(V1.Status.SessionExpired, read.Judge(over).Status);
    }

    private static V1.Request Change() => new() { Create = new() };
}
