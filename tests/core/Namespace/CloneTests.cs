namespace KvFs.Core.Tests.Namespace;

public sealed class CloneTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive origin = new();

    [Fact]
    public void A_clone_starts_as_its_origin_and_both_go_their_own_ways()
    {
        VNodeId directory = origin.GivenDirectory(Root, "d");
        origin.Given(directory, "both");
        origin.Given(directory, "removed-in-clone");
        TestDrive clone = Clone(2, "clone");
        origin.Given(directory, "only-origin");
        clone.Given(directory, "only-clone");
        Assert.Equal(Status.Ok, clone.Unlink(directory, "removed-in-clone"));

        Assert.Equal(["both", "only-origin", "removed-in-clone"], origin.Head.Names(directory));
        Assert.Equal(["both", "only-clone"], clone.Head.Names(directory));
        Assert.Equal(5ul, origin.Counters.UsedInodes);
        Assert.Equal(4ul, clone.Counters.UsedInodes);
    }

    [Fact]
    public void A_name_that_is_removed_and_made_again_in_a_clone_is_the_new_one()
    {
        VNodeId old = origin.Given(Root, "a");
        TestDrive clone = Clone(2, "clone");
        clone.Unlink(Root, "a");
        Assert.Equal([], clone.Head.Names(Root));
        VNodeId made = clone.Given(Root, "a");
        Assert.NotEqual(old, made);
        Assert.Equal(["a"], clone.Head.Names(Root));
        Assert.False(clone.Head.Exists(old));
        Assert.True(origin.Head.Exists(old));
    }

    [Fact]
    public void Ids_of_a_clone_are_above_all_that_it_inherits()
    {
        VNodeId last = origin.Given(Root, "a");
        TestDrive clone = Clone(2, "clone");
        Assert.True(clone.Given(Root, "b") > last);
        Assert.True(clone.Counters.LastCow > clone.State.Policy.Origins[0].At);
    }

    [Fact]
    public void A_clone_of_a_snapshot_has_the_counters_of_that_time()
    {
        origin.Given(Root, "a");
        origin.Run(t => CreateSnapshot.Apply("s", t, out _));
        origin.Given(Root, "b");
        TestDrive clone = Clone(2, "clone", "s");
        Assert.Equal(["a"], clone.Head.Names(Root));
        Assert.Equal(2ul, clone.Counters.UsedInodes);
    }

    [Fact]
    public void What_a_clone_sees_lives_although_the_snapshot_is_deleted_and_reaped()
    {
        origin.Given(Root, "a");
        origin.Run(t => CreateSnapshot.Apply("s", t, out _));
        TestDrive clone = Clone(2, "clone", "s");
        origin.Unlink(Root, "a");
        origin.Run(t => DeleteSnapshot.Apply("s", t));
        origin.RunSteps(t =>
        {
            ReapHistory.Apply(t, out bool more);
            return more;
        });
        Assert.Equal(["a"], clone.Head.Names(Root));
    }

    [Fact]
    public void An_inherited_orphan_is_reaped_in_the_clone_and_lives_on_in_the_origin()
    {
        origin.Given(Root, "held");
        origin.Unlink(Root, "held", out UnlinkResult unlinked, new SessionId(5));
        TestDrive clone = Clone(2, "clone");
        VNodeId orphan = unlinked.Info.Id;
        Assert.True(clone.Head.Exists(orphan));
        Assert.Equal(2ul, clone.Counters.UsedInodes);

        VNodeId next = VNodeId.None;
        clone.RunSteps(t =>
        {
            ReapOrphans.Apply(new LiveSessions(), new OpenNodes(), ref next, t, out bool more);
            return more;
        });
        Assert.False(clone.Head.Exists(orphan));
        Assert.Equal(1ul, clone.Counters.UsedInodes);
        Assert.True(origin.Head.Exists(orphan));
    }

    [Fact]
    public void Plain_records_of_the_origin_are_not_the_clones()
    {
        origin.Run(t => CreateSnapshot.Apply("s", t, out _));
        TestDrive clone = Clone(2, "clone");
        Assert.Empty(DriveRecords.Snapshots(clone.Head));
        Assert.Empty(clone.State.Retained);
        Assert.Equal(Status.Ok, clone.Run(t => CreateSnapshot.Apply("s", t, out _)));
    }

    [Fact]
    public void Clones_of_clones_wait_for_a_flat_one_when_the_chain_is_very_long()
    {
        List<TestDrive> chain = [origin];
        for (uint depth = 1; depth <= Limits.MaxCloneDepth; depth++)
        {
            chain[^1].Given(Root, $"f{depth}");
            Assert.Equal(Status.Ok, chain[^1].Clone(new(depth + 1), $"clone{depth}", null, out TestDrive? clone));
            chain.Add(clone!);
        }

        TestDrive last = chain[^1];
        IEnumerable<string> all = [.. Enumerable.Range(1, Limits.MaxCloneDepth).Select(i => $"f{i}").Order(StringComparer.Ordinal)];
        Assert.Equal(all, last.Head.Names(Root).Order(StringComparer.Ordinal));
        Assert.Equal(Status.Busy, last.Clone(new(99), "too-deep", null, out _));

        Assert.True(chain[8].Flatten(steps: 100));
        last.TrimOrigins();
        Assert.Equal(Limits.MaxCloneDepth - 8, last.State.Policy.Inherited.Length);
        Assert.Equal(all, last.Head.Names(Root).Order(StringComparer.Ordinal));
        Assert.Equal(Status.Ok, last.Unlink(Root, "f1"));
        Assert.DoesNotContain("f1", last.Head.Names(Root));
        Assert.Equal(Status.Ok, last.Clone(new(99), "deeper", null, out _));
    }

    [Fact]
    public void A_flat_clone_shows_the_same_now_and_in_its_snapshots_and_its_origin_may_be_deleted()
    {
        for (int i = 0; i < 40; i++) { origin.Given(Root, $"f{i}"); }
        TestDrive clone = Clone(2, "clone");
        RetainedVersion before = default;
        clone.Run(t => CreateSnapshot.Apply("before", t, out before));
        for (int i = 0; i < 10; i++) { Assert.Equal(Status.Ok, clone.Unlink(Root, $"f{i}")); }
        for (int i = 40; i < 45; i++) { clone.Given(Root, $"f{i}"); }
        string[] inSnapshot = [.. clone.ViewAt(before.At).Names(Root)];
        string[] now = [.. clone.Head.Names(Root)];
        for (int step = 0; !clone.Flatten(steps: 1, recordsPerStep: 3); step++)
        {
            Assert.Equal(inSnapshot, clone.ViewAt(before.At).Names(Root));
            Assert.Equal(now, clone.Head.Names(Root));
            if (step == 5) { Assert.Equal(Status.Ok, clone.Unlink(Root, "f20")); }
            if (step == 5) { now = [.. now.Where(name => name != "f20")]; }
        }

        Assert.True(clone.State.Policy.IsFlat);
        Assert.Equal(Status.Ok, origin.Run(DeleteDrive.Apply));
        Assert.Equal(DriveFlags.Hidden, origin.State.Policy.Flags);
        Assert.Equal(inSnapshot, clone.ViewAt(before.At).Names(Root));
        Assert.Equal(now, clone.Head.Names(Root));
        Assert.Equal(Status.Ok, clone.Unlink(Root, "f30"));
        Assert.DoesNotContain("f30", clone.Head.Names(Root));
        Assert.Contains("f30", clone.ViewAt(before.At).Names(Root));
        TestDrive again = new(clone.Records, clone.State.Drive);
        Assert.True(again.State.Policy.IsFlat);
        Assert.DoesNotContain("f30", again.Head.Names(Root));

        clone.Run(DeleteDrive.Apply);
        Assert.Equal(Status.Ok, origin.Forget(clone));
        Assert.Equal(DriveFlags.Deleting, origin.State.Policy.Flags);
    }

    [Fact]
    public void A_snapshot_of_a_clone_shows_inherited_and_own_names_through_later_deletes()
    {
        origin.Given(Root, "inherited");
        TestDrive clone = Clone(2, "clone");
        clone.Given(Root, "own");
        RetainedVersion snapshot = default;
        clone.Run(t => CreateSnapshot.Apply("s", t, out snapshot));
        clone.Unlink(Root, "own");
        clone.Unlink(Root, "inherited");
        Assert.Equal(["inherited", "own"], clone.ViewAt(snapshot.At).Names(Root));
        clone.Given(Root, "inherited");
        Assert.Equal(["inherited", "own"], clone.ViewAt(snapshot.At).Names(Root));
        Assert.Equal(["inherited"], clone.Head.Names(Root));
    }

    [Fact]
    public void A_pinned_drive_is_hidden_when_deleted_and_goes_with_its_last_clone()
    {
        origin.Given(Root, "a");
        TestDrive clone = Clone(2, "clone");
        Assert.Equal(Status.Ok, origin.Run(DeleteDrive.Apply));
        Assert.Equal(DriveFlags.Hidden, origin.State.Policy.Flags);
        Assert.Null(DriveCatalog.Read(origin.Records).Find("test"));
        Assert.Equal(["a"], clone.Head.Names(Root));
        Assert.Equal(Status.InUse, DeleteDrive.Forget(origin.State, null, new()));

        Assert.Equal(Status.InUse, origin.Forget(clone));
        Assert.Equal(Status.Ok, clone.Run(DeleteDrive.Apply));
        Assert.Equal(DriveFlags.Deleting, clone.State.Policy.Flags);
        Assert.Equal(Status.Ok, origin.Forget(clone));
        Assert.Null(DriveCatalog.Read(origin.Records).Find(new DriveId(2)));
        Assert.Equal(DriveFlags.Deleting, origin.State.Policy.Flags);

        RecordBatch batch = new();
        Assert.Equal(Status.Ok, DeleteDrive.Forget(origin.State, null, batch));
        origin.Records.Apply(batch);
        Assert.Empty(origin.Records.All);
    }

    [Fact]
    public void Requests_are_checked()
    {
        Clone(2, "clone");
        Assert.Equal(Status.Exists, origin.Clone(new(3), "clone", null, out _));
        Assert.Equal(Status.Exists, origin.Clone(new(2), "other", null, out _));
        Assert.Equal(Status.Invalid, origin.Clone(new(3), "Not A Name", null, out _));
        Assert.Equal(Status.NotFound, origin.Clone(new(3), "other", "no-such", out _));
        origin.Run(DeleteDrive.Apply);
        Assert.Equal(Status.NotFound, origin.Clone(new(3), "other", null, out _));
    }

    [Fact]
    public void Drives_are_found_by_name_and_by_id()
    {
        TestDrive other = new(origin.Records, new(77), "other");
        DriveCatalog catalog = DriveCatalog.Read(origin.Records);
        Assert.Equal([new(1), new(77)], catalog.Entries.Select(entry => entry.Drive));
        Assert.Equal(new DriveId(77), catalog.Find("other")!.Drive);
        Assert.Null(catalog.Find("no"));
        CreateDriveRequest again = new() { Drive = new(5), Name = "other" };
        Assert.Equal(Status.Exists, CreateDrive.Apply(again, catalog, other.Records, default, new()));
        Assert.Equal(
            Status.Invalid, CreateDrive.Apply(again with { Name = "a_b" }, catalog, other.Records, default, new()));
    }

    [Fact]
    public void A_resized_drive_keeps_what_it_has_and_takes_no_more()
    {
        origin.Given(Root, "a");
        Assert.Equal(Status.Ok, origin.Run(t => ResizeDrive.Apply(0, 1, t)));
        Assert.Equal(Status.NoInodes, origin.Make(Root, "b", VNodeKind.File, out _));
        TestDrive restarted = new(origin.Records, origin.State.Drive);
        Assert.Equal(Status.NoInodes, restarted.Make(Root, "b", VNodeKind.File, out _));
        Assert.Equal(Status.Ok, restarted.Unlink(Root, "a"));
        Assert.Equal(Status.Ok, restarted.Run(t => ResizeDrive.Apply(0, 2, t)));
        Assert.Equal(Status.Ok, restarted.Make(Root, "b", VNodeKind.File, out _));
    }

    private TestDrive Clone(uint id, string name, string? snapshot = null)
    {
        Assert.Equal(Status.Ok, origin.Clone(new(id), name, snapshot, out TestDrive? clone));
        return clone!;
    }
}
