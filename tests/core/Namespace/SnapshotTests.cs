namespace KvFs.Core.Tests.Namespace;

public sealed class SnapshotTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();

    [Fact]
    public void A_snapshot_shows_what_was_there_and_nothing_newer()
    {
        VNodeId kept = drive.Given(Root, "kept");
        drive.Given(Root, "removed");
        CowNumber at = Snapshot("s");
        drive.Given(Root, "new");
        drive.Unlink(Root, "removed");
        drive.Rename(Root, "kept", Root, "moved");

        Assert.Equal(["moved", "new"], drive.Head.Names(Root));
        Assert.Equal(["kept", "removed"], drive.ViewAt(at).Names(Root));
        Assert.Equal(Status.Ok, drive.ViewAt(at).Find(Root, "kept", out NodeInfo found));
        Assert.Equal(kept, found.Id);
        Assert.Equal(2ul, drive.ViewAt(at).Get(Root).Size);
    }

    [Fact]
    public void Without_a_snapshot_nothing_is_kept()
    {
        drive.Given(Root, "a");
        drive.Rename(Root, "a", Root, "b");
        drive.Unlink(Root, "b");
        Assert.Equal(0, HistoryRecords());
    }

    [Fact]
    public void Deleting_a_snapshot_leaves_exactly_what_others_see()
    {
        drive.Given(Root, "a");
        CowNumber first = Snapshot("first");
        drive.Rename(Root, "a", Root, "b");
        CowNumber second = Snapshot("second");
        drive.Rename(Root, "b", Root, "c");

        Assert.Equal(Status.Ok, drive.Run(t => DeleteSnapshot.Apply("first", t)));
        Assert.Equal(["a"], drive.ViewAt(first).Names(Root));
        Reap();
        Assert.Equal(["b"], drive.ViewAt(second).Names(Root));
        Assert.NotEqual(0, HistoryRecords());

        Assert.Equal(Status.Ok, drive.Run(t => DeleteSnapshot.Apply("second", t)));
        Reap();
        Assert.Equal(0, HistoryRecords());
        Assert.False(ReapHistory.IsScheduled(drive.Head));
        Assert.Equal(["c"], drive.Head.Names(Root));
    }

    [Fact]
    public void Reaping_takes_many_steps_for_much_history_and_a_deletion_in_between_takes_it_once_around()
    {
        const int Files = 1500;
        for (int i = 0; i < Files; i++) { drive.Given(Root, $"f{i}"); }
        Snapshot("first");
        for (int i = 0; i < Files; i++) { drive.Unlink(Root, $"f{i}"); }
        Snapshot("second");
        drive.Given(Root, "last");
        Assert.True(HistoryRecords() > 2 * Files);

        drive.Run(t => DeleteSnapshot.Apply("first", t));
        Assert.Equal(Status.Ok, drive.Run(t => ReapHistory.Apply(t, out _)));
        drive.Run(t => DeleteSnapshot.Apply("second", t));
        int steps = Reap();
        Assert.True(steps >= 3, $"{steps} steps");
        Assert.Equal(0, HistoryRecords());
    }

    [Fact]
    public void Reaping_goes_on_after_a_restart()
    {
        for (int i = 0; i < 1500; i++) { drive.Given(Root, $"f{i}"); }
        Snapshot("s");
        for (int i = 0; i < 1500; i++) { drive.Unlink(Root, $"f{i}"); }
        drive.Run(t => DeleteSnapshot.Apply("s", t));
        drive.Run(t => ReapHistory.Apply(t, out _));

        TestDrive restarted = new(drive.Records, drive.State.Drive);
        Assert.True(ReapHistory.IsScheduled(restarted.Head));
        restarted.RunSteps(t =>
        {
            ReapHistory.Apply(t, out bool more);
            return more;
        });
        Assert.Equal(0, HistoryRecords());
    }

    [Fact]
    public void Names_of_snapshots_are_checked()
    {
        Snapshot("s");
        Assert.Equal(Status.Exists, Create("s"));
        Assert.Equal(Status.Invalid, Create("S"));
        Assert.Equal(Status.Invalid, Create(""));
        Assert.Equal(Status.Invalid, Create("-a"));
        Assert.Equal(Status.Invalid, Create("a..b"));
        Assert.Equal(Status.Invalid, Create("a/b"));
        Assert.Equal(Status.Ok, Create("a.b-c.1"));
        Assert.Equal(Status.NameTooLong, Create(new('a', 254)));
        Assert.Equal(Status.Ok, Create(new('a', 253)));
        Assert.Equal(Status.NotFound, drive.Run(t => DeleteSnapshot.Apply("no", t)));
        Assert.Equal(["a.b-c.1", new string('a', 253), "s"], DriveRecords.Snapshots(drive.Head).Select(s => s.Key));
    }

    [Fact]
    public void A_drive_has_1024_snapshots_at_the_most()
    {
        for (int i = 0; i < Limits.Snapshots; i++) { Snapshot($"s{i}"); }
        Assert.Equal(Status.TooLarge, Create("one-more"));
        drive.Run(t => DeleteSnapshot.Apply("s7", t));
        Assert.Equal(Status.Ok, Create("one-more"));
    }

    [Fact]
    public void What_a_snapshot_holds_survives_a_restart()
    {
        drive.Given(Root, "a");
        CowNumber at = Snapshot("s");
        drive.Unlink(Root, "a");
        TestDrive restarted = new(drive.Records, drive.State.Drive);
        Assert.Equal(at, Assert.Single(restarted.State.Retained));
        restarted.Given(Root, "b");
        restarted.Unlink(Root, "b");
        Assert.Equal(["a"], restarted.ViewAt(at).Names(Root));
    }

    private Status Create(string name) => drive.Run(t => CreateSnapshot.Apply(name, t, out _));

    private CowNumber Snapshot(string name)
    {
        CowNumber at = default;
        Assert.Equal(Status.Ok, drive.Run(t =>
        {
            Status status = CreateSnapshot.Apply(name, t, out RetainedVersion snapshot);
            at = snapshot.At;
            return status;
        }));
        return at;
    }

    private int Reap() => drive.RunSteps(t =>
    {
        Assert.Equal(Status.Ok, ReapHistory.Apply(t, out bool more));
        return more;
    });

    private int HistoryRecords() =>
        drive.Records.All.Count(record => record.Key[DriveId.Size] == (byte)RecordKind.History);
}
