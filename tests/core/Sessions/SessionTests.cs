namespace KvFs.Core.Tests;

public sealed class SessionTests
{
    private readonly TestDrive drive = new();

    [Fact]
    public void Random_requests_sent_any_number_of_times_are_applied_once_each_and_answered_alike()
    {
        Random random = new(1);
        SessionId session = Open();
        Dictionary<RequestId, string> answers = [];
        ulong[] last = new ulong[4];
        int applied = 0;
        for (int step = 0; step < 500; step++)
        {
            ushort slot = (ushort)random.Next(last.Length);
            if (random.Next(2) == 0) { last[slot]++; }
            ulong sequence = last[slot] - (random.Next(5) == 0 && last[slot] > 1 ? 1UL : 0UL);
            RequestId request = new(session, slot, sequence);
            ByteBuffer result = new();
            switch (RequestLedger.Check(request, drive.Head, result, out Status status))
            {
                case RequestVerdict.Apply:
                    Assert.True(answers.TryAdd(request, $"answer {applied++}"));
                    byte[] answer = System.Text.Encoding.UTF8.GetBytes(answers[request]);
                    Assert.Equal(Status.Ok, drive.Run(t => RequestLedger.Keep(request, Status.Exists, answer, t)));
                    break;
                case RequestVerdict.Repeat:
                    Assert.Equal(answers[request], System.Text.Encoding.UTF8.GetString(result.Span));
                    Assert.Equal(Status.Exists, status);
                    break;
                case RequestVerdict.Outdated:
                    Assert.True(sequence < last[slot]);
                    break;
                case RequestVerdict.Invalid:
                    Assert.Equal(0UL, sequence);
                    break;
                default:
                    Assert.Fail("The session lives.");
                    break;
            }
        }

        Assert.True(applied > 100);
    }

    [Fact]
    public void A_request_that_fails_keeps_nothing_and_may_be_decided_again()
    {
        RequestId request = new(Open(), 3, 1);
        Assert.Equal(Status.NoSpace, drive.Run(transaction =>
        {
            Assert.Equal(Status.Ok, RequestLedger.Keep(request, Status.NoSpace, default, transaction));
            return Status.NoSpace;
        }));

        Assert.Equal(RequestVerdict.Apply, RequestLedger.Check(request, drive.Head, new(), out _));
    }

    [Fact]
    public void A_result_that_is_too_long_and_a_slot_that_is_too_high_are_refused()
    {
        RequestId request = new(Open(), 0, 1);
        byte[] longResult = new byte[RequestLedger.ResultBytes + 1];
        Assert.Equal(Status.TooLarge, drive.Run(t => RequestLedger.Keep(request, Status.Ok, longResult, t)));
        RequestId beyond = request with { Slot = RequestLedger.Slots };
        Assert.Equal(RequestVerdict.Invalid, RequestLedger.Check(beyond, drive.Head, new(), out _));
    }

    [Fact]
    public void An_expired_session_leaves_no_record_but_its_blocks_as_dead()
    {
        SessionId session = Open();
        SessionId other = Open();
        LockTable table = new();
        LockEffects effects = new();
        table.Set(new(1), LockSpace.Range, new(0, 5, LockType.Write, new(session, 4), 9), effects);
        BlockId first = default;
        Assert.Equal(Status.Ok, drive.Run(transaction =>
        {
            LockRecords.Write(effects.Changes, transaction);
            Assert.Equal(Status.Ok, RequestLedger.Keep(new(session, 1, 1), Status.Ok, "kept"u8, transaction));
            return GrantBlocks.Apply(session, 10, transaction, out first);
        }));

        HashSet<SessionId> found = [];
        ExpireSession.ListUnfinished(drive.Head, found);
        Assert.Equal([session, other], found);
        effects.Clear();
        table.Expire(session, effects);
        bool done = false;
        Assert.Equal(Status.Ok, drive.Run(t => ExpireSession.Apply(session, effects, t, out done)));
        Assert.True(done);

        Assert.Equal(
            RequestVerdict.Expired, RequestLedger.Check(new(session, 1, 1), drive.Head, new(), out _));
        found.Clear();
        ExpireSession.ListUnfinished(drive.Head, found);
        Assert.Equal([other], found);
        LockTable restored = new();
        LockRecords.Load(drive.Head, restored);
        Assert.True(restored.IsEmpty);
        RecordKey key = RecordKey.Numbered(RecordKind.BlockDead, first.Value);
        ByteBuffer payload = new();
        Assert.True(drive.Head.TryGet(ref key, payload));
        Assert.True(DeadBlocks.TryDecode(payload.Span, out DeadBlocks dead));
        Assert.Equal(10U, dead.Count);
    }

    private SessionId Open()
    {
        SessionId session = default;
        Assert.Equal(Status.Ok, drive.Run(transaction => OpenSession.Apply(SessionAccess.Alone, default, transaction, out session)));
        return session;
    }
}
