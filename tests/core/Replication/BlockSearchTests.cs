using KvFs.Core;

namespace KvFs.Core.Tests.Replication;

/// <summary>What the answers of those who may have a block come to.</summary>
public sealed class BlockSearchTests
{
    [Theory]
    [InlineData(Status.NotFound)]
    [InlineData(Status.NotFound, Status.NotFound, Status.NotFound)]
    [InlineData(Status.Corrupt, Status.NotFound, Status.Corrupt, Status.NotFound)]
    [InlineData(Status.Busy, Status.Corrupt, Status.Busy, Status.NotFound)]
    [InlineData(Status.Busy, Status.IoError, Status.Corrupt)]
    public void Who_did_not_answer_may_have_it_and_who_has_it_bad_says_that_it_was_there(Status expected, params Status[] answers)
    {
        BlockSearch search = new();
        foreach (Status answer in answers) { search.OnAnswer(answer); }
        Assert.Equal(expected, search.Outcome);
    }

    [Fact]
    public void The_primary_is_asked_first_then_the_copies_that_count()
    {
        InSyncReplica[] copies = [.. new uint[] { 1, 3, 4 }.Select(static one => new InSyncReplica(new(one), new(one), new(1)))];
        Reign reign = new(new(0), new(new(5), new(3), [.. copies], [new(2), new(6)], Enough: 2));
        Assert.Equal([3u, 1, 2, 6], BlockSearch.HoldersOf(reign, new(4)).Select(static node => node.Value));
        Assert.Equal([1u, 4, 2, 6], BlockSearch.HoldersOf(reign, new(3)).Select(static node => node.Value));
    }
}
