using KvFs.Core;

namespace KvFs.Core.Tests;

public sealed class QuotaLedgerTests
{
    private static readonly SessionId s_one = new(1);
    private static readonly SessionId s_two = new(2);

    [Fact]
    public void What_is_set_aside_counts_as_used_for_everybody_else()
    {
        QuotaLedger ledger = new();
        Assert.Equal(Status.Ok, ledger.Reserve(s_one, new(60, 1), used: new(30, 0), quota: new(100, 0)));
        Assert.Equal(Status.NoSpace, ledger.Reserve(s_two, new(11, 0), used: new(30, 0), quota: new(100, 0)));
        Assert.Equal(new(60, 1), ledger.ReservedByOthers(s_two));
        Assert.Equal(default, ledger.ReservedByOthers(s_one));
    }

    [Fact]
    public void The_quota_can_be_used_up_to_the_last_byte_and_inode()
    {
        QuotaLedger ledger = new();
        Assert.Equal(Status.Ok, ledger.Reserve(s_one, new(70, 9), used: new(30, 1), quota: new(100, 10)));
        Assert.Equal(Status.NoInodes, ledger.Reserve(s_one, new(0, 1), used: new(30, 1), quota: new(100, 10)));
    }

    [Fact]
    public void What_is_returned_or_consumed_is_free_again_and_never_more_than_was_set_aside()
    {
        QuotaLedger ledger = new();
        Assert.Equal(Status.Ok, ledger.Reserve(s_one, new(50, 2), default, default));
        ledger.Return(s_one, new(20, 1));
        ledger.Return(s_one, new(1000, 1000));
        Assert.Equal(default, ledger.ReservedByOthers(s_two));
    }

    [Fact]
    public void An_ended_session_holds_nothing()
    {
        QuotaLedger ledger = new();
        Assert.Equal(Status.Ok, ledger.Reserve(s_one, new(50, 2), default, default));
        ledger.Remove(s_one);
        ledger.Remove(s_one);
        Assert.Equal(default, ledger.ReservedByOthers(s_two));
    }

    [Fact]
    public void Nobody_gets_room_that_a_session_of_another_primary_may_have_until_it_has_said_what_it_has()
    {
        QuotaLedger ledger = new();
        ledger.AddAbsent(s_one);
        Assert.Equal(Status.Busy, ledger.Reserve(s_two, new(1, 0), default, quota: new(100, 0)));
        Assert.Equal(Status.Ok, ledger.Reserve(s_two, new(1, 0), default, quota: default));
        ledger.Adopt(s_one, new(99, 0));
        Assert.Equal(Status.NoSpace, ledger.Reserve(s_two, new(1, 0), default, quota: new(100, 0)));
        ledger.Return(s_one, new(1, 0));
        Assert.Equal(Status.NoSpace, ledger.Reserve(s_two, new(1, 0), used: new(1, 0), quota: new(100, 0)));
        Assert.Equal(Status.Ok, ledger.Reserve(s_one, new(1, 0), default, quota: new(100, 0)));
    }

    [Fact]
    public void A_session_of_another_primary_that_ended_is_not_waited_for()
    {
        QuotaLedger ledger = new();
        ledger.AddAbsent(s_one);
        Assert.Equal(Status.Ok, ledger.Reserve(s_one, new(100, 0), default, quota: new(100, 0)));
        ledger.Remove(s_one);
        Assert.Equal(Status.Ok, ledger.Reserve(s_two, new(100, 0), default, quota: new(100, 0)));
    }

    [Fact]
    public void Sums_beyond_64_bits_are_refused_not_wrapped()
    {
        QuotaLedger ledger = new();
        Assert.Equal(
            Status.NoSpace, ledger.Reserve(s_one, new(ulong.MaxValue, 0), used: new(2, 0), quota: new(100, 0)));
    }
}
