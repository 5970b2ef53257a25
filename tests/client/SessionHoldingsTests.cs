using KvFs.Client.Remote;
using KvFs.Core;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Client.Tests;

/// <summary>What a client says to a new primary of what its session holds.</summary>
public sealed class SessionHoldingsTests
{
    private static readonly SessionId s_session = new(7);

    private readonly SessionHoldings holdings = new();
    private readonly RequestBook book = new();

    [Fact]
    public void What_was_sent_and_may_have_opened_something_is_named_until_it_is_answered()
    {
        WaitingRequest made = Sent(new() { Create = new() { Opened = true } });
        WaitingRequest several = Sent(new()
        {
            Transact = new() { Operations = { new V1.TransactOperation { Unlink = new() }, new V1.TransactOperation { Create = new() { Opened = true } } } },
        });
        Sent(new() { Create = new() });
        Sent(new() { Transact = new() { Operations = { new V1.TransactOperation { Create = new() } } } });
        Sent(new() { Hold = new() { Id = 5 } });
        book.Add(new() { Create = new() { Opened = true } }, s_session);
        Assert.Equal([NameOf(made), NameOf(several)], Told().Opening);

        V1.Answer answer = new() { Node = new() { Id = 9 } };
        holdings.Note(made.Request, answer);
        Assert.Same(made, book.Remove(made.Request.Id));
        V1.Holdings told = Told();
        Assert.Equal([NameOf(several)], told.Opening);
        Assert.Equal([new V1.Held { Node = 9, Count = 1 }], told.Held);
    }

    private V1.Holdings Told() => Assert.Single(holdings.Tell(book.All()));

    private WaitingRequest Sent(V1.Request request)
    {
        WaitingRequest added = book.Add(request, s_session);
        added.NoteSent();
        return added;
    }

    private static V1.RequestName NameOf(WaitingRequest of) => new() { Slot = of.Request.Slot, Sequence = of.Request.Sequence };
}
