using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

/// <summary>Which files' writes are left with which session, as the records say it.</summary>
public sealed class DelegationRecordTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();

    [Fact]
    public void What_is_left_with_a_session_is_listed_until_it_gives_it_back_or_ends()
    {
        SessionId session = Open();
        SessionId other = Open();
        VNodeId first = drive.Given(Root, "first");
        VNodeId second = drive.Given(Root, "second");
        Assert.Equal(Status.Ok, drive.Run(t => DelegateWrites.Apply(session, first, t, out NodeInfo info)));
        Assert.Equal(Status.Ok, drive.Run(t => DelegateWrites.Apply(other, second, t, out _)));
        VNodeId made = default;
        Assert.Equal(Status.Ok, drive.Run(t =>
        {
            Status status = Create.Apply(
                new() { Parent = Root, Name = "new"u8, Kind = VNodeKind.File, Session = session, Delegated = true }, t, out NodeInfo info);
            made = info.Id;
            return status;
        }));
        Assert.Equal([(session, first), (session, made), (other, second)], List());

        // What somebody does not have he may give back, too.
        Assert.Equal(Status.Ok, drive.Run(t => ReturnDelegations.Apply(session, [first, second], t)));
        Assert.Equal([(session, made), (other, second)], List());
        bool done = false;
        Assert.Equal(Status.Ok, drive.Run(t => ExpireSession.Apply(session, new(), t, out done)));
        Assert.True(done);
        Assert.Equal([(other, second)], List());
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Only_files_are_left_with_a_session()
    {
        SessionId session = Open();
        Assert.Equal(Status.IsDirectory, drive.Run(t => DelegateWrites.Apply(session, Root, t, out _)));
        Assert.Equal(Status.Stale, drive.Run(t => DelegateWrites.Apply(session, new(99), t, out _)));
        Assert.Equal(Status.Invalid, drive.Run(t => Create.Apply(
            new() { Parent = Root, Name = "d"u8, Kind = VNodeKind.Directory, Session = session, Delegated = true }, t, out _)));
        Assert.Equal(Status.Invalid, drive.Run(t => ReturnDelegations.Apply(session, new VNodeId[ReturnDelegations.MaxCount + 1], t)));
        Assert.Empty(List());
    }

    [Fact]
    public void A_session_with_nothing_but_a_file_left_is_found_and_ended()
    {
        SessionId session = new(7);
        VNodeId file = drive.Given(Root, "f");
        Assert.Equal(Status.Ok, drive.Run(t => DelegateWrites.Apply(session, file, t, out _)));
        HashSet<SessionId> unfinished = [];
        ExpireSession.ListUnfinished(drive.Head, unfinished);
        Assert.Equal([session], unfinished);
    }

    /// <summary>What others keep of a file does not hold once its writes are left with somebody; that they are given back changes nothing.</summary>
    [Fact]
    public void Leaving_it_with_somebody_is_a_change_of_the_file()
    {
        RecordBatch batch = new();
        RecordKey key = RecordKey.Numbered(RecordKind.Delegation, 7, 9);
        batch.Put(key.In(RecordSamples.Drive), default);
        HashSet<VNodeId> changed = [];
        ChangedNodes.AddTo(changed, batch);
        Assert.Equal([new VNodeId(9)], changed);
        batch.Clear();
        batch.Delete(key.In(RecordSamples.Drive));
        changed.Clear();
        ChangedNodes.AddTo(changed, batch);
        Assert.Empty(changed);
    }

    private SessionId Open()
    {
        SessionId session = default;
        Assert.Equal(Status.Ok, drive.Run(t => OpenSession.Apply(SessionAccess.Shared, new(1), t, out session)));
        return session;
    }

    private List<(SessionId Session, VNodeId Node)> List()
    {
        List<(SessionId Session, VNodeId Node)> left = [];
        DelegateWrites.List(drive.Head, left);
        return left;
    }
}
