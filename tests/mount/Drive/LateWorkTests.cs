using KvFs.Core;

namespace KvFs.Mount.Tests.Drive;

public sealed class LateWorkTests
{
    [Fact]
    public void Without_work_the_end_is_there_at_once()
    {
        LateWork late = new();
        late.Begin();
        late.End();
        Assert.True(late.WaitAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task The_end_waits_for_the_last_work_and_for_what_begins_within_it()
    {
        LateWork late = new();
        late.Begin();
        Task end = late.WaitAsync();
        late.Begin();
        late.End();
        Assert.False(end.IsCompleted);
        late.End();
        await end;
    }

    [Fact]
    public async Task After_the_end_no_work_may_begin()
    {
        LateWork late = new();
        await late.WaitAsync();
        Assert.Throws<InvariantException>(late.Begin);
    }
}
