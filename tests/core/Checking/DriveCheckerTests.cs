using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Checking;

/// <summary>Each kind of damage is planted into a healthy drive; the check must find it, and no more than follows from
/// it; what is repairable must be mended without a name or a byte lost.</summary>
public sealed class DriveCheckerTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();
    private readonly VNodeId directory;
    private readonly VNodeId file;
    private readonly VNodeId linked;

    public DriveCheckerTests()
    {
        directory = drive.GivenDirectory(Root, "d");
        drive.GivenDirectory(directory, "sub");
        file = drive.Given(directory, "f");
        drive.Write(file, 0, "content"u8);
        linked = drive.Given(Root, "linked");
        drive.Link(linked, directory, "again");
        drive.SetXattr(file, "user.a", "1"u8);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_wrong_entry_count_is_found_and_mended()
    {
        Change(directory, vnode => vnode with { Size = 17 });
        Finds(FindingKind.WrongEntryCount);
        Repair();
    }

    [Fact]
    public void A_wrong_link_count_of_a_directory_or_a_file_is_found_and_mended()
    {
        Change(directory, vnode => vnode with { Nlink = 9 });
        Change(linked, vnode => vnode with { Nlink = 1 });
        Finds(FindingKind.WrongLinkCount, FindingKind.WrongLinkCount);
        Repair();
        Assert.Equal(2u, drive.Head.Get(linked).Nlink);
    }

    [Fact]
    public void A_lost_name_is_found_and_the_file_gets_one_in_the_root()
    {
        Run(t => t.DeleteDentry(directory, "f"u8));
        Finds(FindingKind.WrongEntryCount, FindingKind.NoName);
        Repair();
        Assert.Equal(Status.Ok, drive.Head.Find(Root, RepairDrive.LostName(file), out NodeInfo found));
        Assert.Equal(file, found.Id);
        Assert.Equal("content"u8.ToArray(), drive.Head.Content(file));
    }

    [Fact]
    public void A_lost_name_of_a_directory_is_found_and_the_tree_below_is_kept()
    {
        Run(t => t.DeleteDentry(Root, "d"u8));
        Finds(FindingKind.WrongEntryCount, FindingKind.WrongLinkCount, FindingKind.NoName);
        Repair();
        Assert.Equal(Status.Ok, drive.Head.Find(Root, RepairDrive.LostName(directory), out NodeInfo found));
        Assert.Equal(["again", "f", "sub"], drive.Head.Names(found.Id));
    }

    [Fact]
    public void A_lost_link_record_is_found()
    {
        Run(t => Delete(t, RecordKey.Link(linked, directory, "again"u8)));
        Finds(FindingKind.WrongLinkCount, FindingKind.WrongParent, FindingKind.ExtraName);
    }

    [Fact]
    public void A_link_record_without_its_name_is_found()
    {
        Run(t => t.DeleteDentry(directory, "again"u8));
        Finds(FindingKind.StrayRecord, FindingKind.WrongEntryCount);
    }

    [Fact]
    public void A_name_that_leads_nowhere_is_found_and_left_for_people()
    {
        Run(t => t.PutDentry(Root, "ghost"u8, new(new(999), VNodeKind.File)));
        Finds(FindingKind.DanglingName, FindingKind.WrongEntryCount);
        Assert.All(FindingList.Of(drive), f => Assert.Equal(f.Kind != FindingKind.DanglingName, f.IsRepairable));
        RepairSome();
        Finds(FindingKind.DanglingName);
    }

    [Fact]
    public void A_second_name_for_a_file_without_links_is_found()
    {
        Run(t => t.PutDentry(directory, "twin"u8, new(file, VNodeKind.File)));
        Finds(FindingKind.ExtraName, FindingKind.WrongEntryCount);
    }

    [Fact]
    public void A_name_that_says_another_kind_is_found()
    {
        Run(t => t.PutDentry(directory, "f"u8, new(file, VNodeKind.Fifo)));
        Finds(FindingKind.WrongKind);
    }

    [Fact]
    public void A_parent_that_is_another_directory_is_found()
    {
        Change(file, vnode => vnode with { Parent = Root });
        Finds(FindingKind.WrongParent);
    }

    [Fact]
    public void A_circle_of_directories_is_found()
    {
        Assert.Equal(Status.Ok, drive.Head.Find(directory, "sub", out NodeInfo sub));
        Run(t =>
        {
            t.DeleteDentry(Root, "d"u8);
            t.PutDentry(sub.Id, "d"u8, new(directory, VNodeKind.Directory));
            t.PutVNode(directory, drive.Head.Get(directory) with { Parent = sub.Id });
            t.PutVNode(sub.Id, sub.VNode with { Size = 1, Nlink = 3 });
            VNode root = drive.Head.Get(Root);
            t.PutVNode(Root, root with { Size = root.Size - 1, Nlink = root.Nlink - 1 });
        });
        Finds(FindingKind.Unreachable, FindingKind.Unreachable);
    }

    [Fact]
    public void A_missing_root_is_found()
    {
        Run(t => Delete(t, RecordKey.VNode(Root)));
        FindingList findings = FindingList.Of(drive);
        Assert.Contains(findings, finding => finding.Kind == FindingKind.NoRoot);
        Assert.Contains(findings, finding => finding.Kind == FindingKind.StrayRecord && finding.Node == Root);
        Assert.Contains(findings, finding => finding.Kind == FindingKind.Unreachable && finding.Node == directory);
    }

    [Fact]
    public void An_orphan_that_nobody_would_remove_is_found_and_gets_a_name()
    {
        drive.Unlink(directory, "f", out _, new SessionId(3));
        Run(t => Delete(t, RecordKey.Numbered(RecordKind.Orphan, file.Value, 3)));
        Finds(FindingKind.UnlistedOrphan);
        Repair();
        Assert.Equal("content"u8.ToArray(), drive.Head.Content(file));
        Assert.Equal(1u, drive.Head.Get(file).Nlink);
    }

    [Fact]
    public void A_file_with_a_name_on_the_list_of_orphans_is_found_and_taken_off()
    {
        Run(t =>
        {
            RecordKey key = RecordKey.Numbered(RecordKind.Orphan, file.Value, 3);
            t.Put(ref key, default);
        });
        Finds(FindingKind.FalseOrphan);
        Repair();
    }

    [Fact]
    public void Records_of_a_VNode_that_is_gone_are_found_and_left()
    {
        Run(t =>
        {
            Delete(t, RecordKey.VNode(file));
            t.DeleteDentry(directory, "f"u8);
            t.PutVNode(directory, drive.Head.Get(directory) with { Size = 2 });
        });
        Finds(
            FindingKind.StrayRecord, FindingKind.StrayRecord, FindingKind.WrongUsedInodes, FindingKind.WrongUsedBytes);
        RepairSome();
        Finds(FindingKind.StrayRecord, FindingKind.StrayRecord);
    }

    [Fact]
    public void Flags_that_do_not_fit_are_found_and_mended()
    {
        Change(file, vnode => vnode with { Flags = VNodeFlags.HasAccessAcl });
        Change(linked, vnode => vnode with { Flags = VNodeFlags.None });
        FindingList findings = FindingList.Of(drive);
        Assert.Equal(2, findings.Count(finding => finding.Kind == FindingKind.WrongFlags));
        Repair();
        Assert.Equal(VNodeFlags.HasXattrs, drive.Head.Get(file).Flags);
        Assert.Equal(VNodeFlags.HasLinks, drive.Head.Get(linked).Flags);
    }

    [Fact]
    public void A_target_that_is_missing_or_of_another_length_is_found()
    {
        VNodeId symlink = drive.Given(Root, "s", VNodeKind.Symlink);
        Change(symlink, vnode => vnode with { Size = 3 });
        Finds(FindingKind.WrongTarget);
        Run(t => Delete(t, RecordKey.Symlink(symlink)));
        Finds(FindingKind.WrongTarget);
    }

    [Fact]
    public void Wrong_backed_bytes_are_found_and_mended_with_the_drives_sum()
    {
        Change(file, vnode => vnode with { AllocatedBytes = 1 });
        Finds(FindingKind.WrongBackedBytes, FindingKind.WrongUsedBytes);
        Repair();
        Assert.Equal(7ul, drive.Head.Get(file).AllocatedBytes);
        Assert.Equal(7ul, drive.Counters.UsedBytes);
    }

    [Fact]
    public void Data_behind_the_end_is_found_and_left()
    {
        Change(file, vnode => vnode with { Size = 3 });
        Finds(FindingKind.DataBehindEnd);
        Assert.False(FindingList.Of(drive).Single().IsRepairable);
    }

    [Fact]
    public void Wrong_counters_are_found_and_mended()
    {
        drive.Accept(drive.State, drive.Counters with { UsedBytes = 1000, UsedInodes = 1 });
        Finds(FindingKind.WrongUsedInodes, FindingKind.WrongUsedBytes);
        Repair();
        Assert.Equal((7ul, 5ul), (drive.Counters.UsedBytes, drive.Counters.UsedInodes));
    }

    [Fact]
    public void A_forgotten_or_invented_block_reference_is_found_also_one_that_only_history_has()
    {
        BlockId block = WriteBlock(offset: 0);
        FindingList.Nothing(drive);
        drive.Snapshot("s");
        drive.Set(new() { Node = file, Mask = AttributeMask.Size });
        FindingList.Nothing(drive);

        RecordKey key = RecordKey.Numbered(RecordKind.BlockLive, block.Value);
        byte[] payload = new byte[BlockUse.PayloadBytes];
        new BlockUse(2, 4096).Encode(payload);
        Run(t => t.Put(ref key, payload));
        Finds(FindingKind.WrongBlockUse);
        Run(t => t.Delete(ref key));
        Finds(FindingKind.WrongBlockUse);
        RecordKey far = RecordKey.Numbered(RecordKind.BlockLive, 5_000_000);
        Run(t => t.Put(ref far, payload));
        Finds(FindingKind.WrongBlockUse, FindingKind.WrongBlockUse);
    }

    [Fact]
    public void A_damaged_record_ends_its_part_of_the_check_and_the_others_go_on()
    {
        RecordKey key = RecordKey.VNode(linked);
        byte[] raw = key.In(drive.State.Drive).ToArray();
        ByteBuffer value = new();
        Assert.True(drive.Records.TryGet(raw, value));
        value.Writable()[20] ^= 1;
        drive.Records.Put(raw, value.Span);
        FindingList findings = FindingList.Of(drive);
        Assert.Equal([FindingKind.DamagedRecord, FindingKind.DamagedRecord], findings.Select(finding => finding.Kind));
        Assert.All(findings, finding => Assert.Contains("cannot be read", finding.Detail, StringComparison.Ordinal));
        Assert.All(findings, finding => Assert.False(finding.IsRepairable));
    }

    [Fact]
    public void What_cannot_be_mended_is_refused()
    {
        DriveFinding finding = new(FindingKind.DanglingName, Root, file, 0, 0, "");
        Assert.Equal(Status.NotSupported, drive.Run(t => RepairDrive.Apply(finding, t)));
        finding = new(FindingKind.WrongEntryCount, new(99), VNodeId.None, 0, 0, "");
        Assert.Equal(Status.Stale, drive.Run(t => RepairDrive.Apply(finding, t)));
    }

    private BlockId WriteBlock(ulong offset)
    {
        BlockId block = default;
        Assert.Equal(Status.Ok, drive.Run(t => GrantBlocks.Apply(new(1), 1, t, out block)));
        FileCommit commit = new() { Node = file, Session = new(1), MinSize = offset + 4096 };
        commit.Runs.Add(new(offset, 4096, SliceKind.Block, new(drive.State.Drive, block), 0));
        Assert.Equal(Status.Ok, drive.Run(t => CommitSlices.Apply(commit, t, out _)));
        return block;
    }

    private void Change(VNodeId id, Func<VNode, VNode> change) => Run(t => t.PutVNode(id, change(drive.Head.Get(id))));

    private void Run(Action<DriveTransaction> change) => Assert.Equal(Status.Ok, drive.Run(t =>
    {
        change(t);
        return Status.Ok;
    }));

    private static void Delete(DriveTransaction transaction, RecordKey key) => transaction.Delete(ref key);

    private void Finds(params FindingKind[] expected)
    {
        FindingList findings = FindingList.Of(drive);
        Assert.True(
            expected.Order().SequenceEqual(findings.Select(finding => finding.Kind).Order()), string.Join('\n', findings));
    }

    private void Repair()
    {
        RepairSome();
        FindingList.Nothing(drive);
    }

    /// <summary>Mends one thing at a time and checks again, until nothing is left that can be mended.</summary>
    private void RepairSome()
    {
        for (int i = 0; i < 20; i++)
        {
            DriveFinding? finding = FindingList.Of(drive).Find(finding => finding.IsRepairable);
            if (finding is null) { return; }
            Assert.Equal(Status.Ok, drive.Run(t =>
            {
                // A drive commits what has writes.
                Status status = RepairDrive.Apply(finding, t);
                Assert.True(t.HasWrites);
                return status;
            }));
        }

        Assert.Fail("Repairs come to no end.");
    }
}
