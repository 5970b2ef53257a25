using System.Buffers.Binary;
using System.Text;
using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

public sealed class AttributeTests
{
    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();
    private readonly VNodeId file;

    public AttributeTests() => file = drive.Given(Root, "f");

    [Fact]
    public void Only_what_the_mask_names_is_changed()
    {
        VNode before = drive.Head.Get(file);
        Set(new() { Mask = AttributeMask.Uid, Uid = 7, Gid = 8, Mode = 1, AccessTime = new(9) });
        VNode after = drive.Head.Get(file);
        Assert.Equal(before with { Uid = 7, ChangeTime = drive.Now }, after);
    }

    [Fact]
    public void Times_are_the_given_ones_or_now()
    {
        AttributeMask given = AttributeMask.AccessTime | AttributeMask.ModifyTime | AttributeMask.ChangeTime;
        Set(new() { Mask = given, AccessTime = new(-1), ModifyTime = new(-2), ChangeTime = new(-3) });
        VNode vnode = drive.Head.Get(file);
        Assert.Equal((-1L, -2L, -3L), Times(vnode));
        Set(new() { Mask = AttributeMask.AccessTimeNow | AttributeMask.ModifyTimeNow });
        long now = drive.Now.Nanoseconds;
        Assert.Equal((now, now, now), Times(drive.Head.Get(file)));
    }

    [Theory]
    [InlineData(0xDFF, 0x1FF)]
    [InlineData(0xDC0, 0x5C0)]
    public void A_new_owner_or_a_foreign_write_clears_set_uid_and_set_gid_where_the_group_executes(
        int mode, int expected)
    {
        foreach (AttributeMask mask in new[] { AttributeMask.Uid, AttributeMask.Gid, AttributeMask.KillSetId })
        {
            Set(new() { Mask = AttributeMask.Mode, Mode = (ushort)mode });
            Set(new() { Mask = mask });
            Assert.Equal(expected, drive.Head.Get(file).Mode);
        }

        VNodeId directory = drive.GivenDirectory(Root, "d");
        drive.Set(new() { Node = directory, Mask = AttributeMask.Mode, Mode = (ushort)mode });
        drive.Set(new() { Node = directory, Mask = AttributeMask.Uid, Uid = 3 });
        Assert.Equal(mode, drive.Head.Get(directory).Mode);
    }

    [Fact]
    public void A_new_size_is_only_for_files_and_at_most_16_TiB()
    {
        Assert.Equal(Status.Ok, Size(file, 100));
        Assert.Equal(100ul, drive.Head.Get(file).Size);
        Assert.Equal(Status.Ok, Size(file, Limits.FileBytes));
        Assert.Equal(Status.TooLarge, Size(file, Limits.FileBytes + 1));
        Assert.Equal(Status.IsDirectory, Size(Root, 0));
        Assert.Equal(Status.Invalid, Size(drive.Given(Root, "fifo", VNodeKind.Fifo), 0));
        Assert.Equal(Status.Stale, Size(new(99), 0));
    }

    [Fact]
    public void File_capabilities_go_with_a_change_of_size_or_owner()
    {
        foreach (AttributeMask mask in new[] { AttributeMask.Size, AttributeMask.Uid, AttributeMask.KillSetId })
        {
            Assert.Equal(Status.Ok, drive.SetXattr(file, "security.capability", "x"u8));
            Set(new() { Mask = AttributeMask.Mode });
            Assert.Equal(Status.Ok, drive.Head.GetXattr(file, "security.capability", out _));
            Set(new() { Mask = mask });
            Assert.Equal(Status.NoAttribute, drive.Head.GetXattr(file, "security.capability", out _));
        }
    }

    [Fact]
    public void Attributes_are_set_replaced_listed_and_removed()
    {
        Assert.Equal(Status.NoAttribute, drive.Head.GetXattr(file, "user.a", out _));
        Assert.Equal(Status.NoAttribute, drive.SetXattr(file, "user.a", "1"u8, XattrMode.ReplaceOnly));
        Assert.Equal(Status.Ok, drive.SetXattr(file, "user.a", "1"u8, XattrMode.CreateOnly));
        Assert.Equal(drive.Now, drive.Head.Get(file).ChangeTime);
        Assert.Equal(Status.Exists, drive.SetXattr(file, "user.a", "1"u8, XattrMode.CreateOnly));
        Assert.Equal(Status.Ok, drive.SetXattr(file, "user.a", "2"u8, XattrMode.ReplaceOnly));
        Assert.Equal(Status.Ok, drive.SetXattr(file, "trusted.b", ""u8));
        Assert.Equal(Status.Ok, drive.Head.GetXattr(file, "user.a", out byte[] value));
        Assert.Equal("2"u8.ToArray(), value);
        Assert.Equal("trusted.b\0user.a\0", List());
        Assert.Equal(Status.Ok, drive.RemoveXattr(file, "user.a"));
        Assert.Equal(Status.NoAttribute, drive.RemoveXattr(file, "user.a"));
        Assert.Equal("trusted.b\0", List());
        FindingList.Nothing(drive);
    }

    [Theory]
    [InlineData("", Status.Invalid)]
    [InlineData("user.", Status.Invalid)]
    [InlineData("user.a\0b", Status.Invalid)]
    [InlineData("other.a", Status.NotSupported)]
    [InlineData("system.other", Status.NotSupported)]
    [InlineData("noprefix", Status.NotSupported)]
    public void Names_of_no_known_kind_are_refused(string name, Status expected)
    {
        Assert.Equal(expected, drive.SetXattr(file, name, "1"u8));
        Assert.Equal(expected, drive.Head.GetXattr(file, name, out _));
        Assert.Equal(expected, drive.RemoveXattr(file, name));
    }

    [Fact]
    public void Bounds_of_names_and_values_are_kept()
    {
        Assert.Equal(Status.Ok, drive.SetXattr(file, $"user.{new string('n', 250)}", "1"u8));
        Assert.Equal(Status.Range, drive.SetXattr(file, $"user.{new string('n', 251)}", "1"u8));
        Assert.Equal(Status.ValueTooLong, drive.SetXattr(file, "user.a", new byte[Limits.XattrValueBytes + 1]));
        for (int i = 0; i < 7; i++) { Assert.Equal(Status.Ok, drive.SetXattr(file, $"user.{i}", new byte[65536])); }
        Assert.Equal(Status.NoSpace, drive.SetXattr(file, "user.8", new byte[65536]));
        Assert.Equal(Status.Ok, drive.SetXattr(file, "user.6", new byte[1]));
        Assert.Equal(Status.Ok, drive.SetXattr(file, "user.8", new byte[65536]));
    }

    [Fact]
    public void Names_of_all_attributes_together_are_at_most_64_KiB()
    {
        string filler = new('n', 246);
        for (int i = 0; i < 256; i++) { Assert.Equal(Status.Ok, drive.SetXattr(file, $"user.{filler}{i:D4}", ""u8)); }
        Assert.Equal(Status.NoSpace, drive.SetXattr(file, "user.x", ""u8));
        Assert.Equal(Limits.XattrListBytes, List().Length);
    }

    [Fact]
    public void User_attributes_are_for_files_and_directories_only()
    {
        VNodeId symlink = drive.Given(Root, "s", VNodeKind.Symlink);
        Assert.Equal(Status.NotPermitted, drive.SetXattr(symlink, "user.a", "1"u8));
        Assert.Equal(Status.Ok, drive.SetXattr(symlink, "trusted.a", "1"u8));
        Assert.Equal(Status.NotSupported, drive.SetXattr(symlink, AccessAcl, Acl(7, 5, 5)));
        Assert.Equal(Status.Stale, drive.SetXattr(new(99), "user.a", "1"u8));
        Assert.Equal(Status.Stale, drive.RemoveXattr(new(99), "user.a"));
        Assert.Equal(Status.Stale, drive.Head.GetXattr(new(99), "user.a", out _));
    }

    private const string AccessAcl = "system.posix_acl_access";

    private Status Size(VNodeId id, ulong size) => drive.Set(new() { Node = id, Mask = AttributeMask.Size, Size = size });

    private void Set(SetAttributesRequest request) => Assert.Equal(Status.Ok, drive.Set(request with { Node = file }));

    private string List()
    {
        ByteBuffer names = new();
        Assert.Equal(Status.Ok, ListXattrs.Apply(drive.Head, file, names));
        return Encoding.UTF8.GetString(names.Span);
    }

    private static (long, long, long) Times(VNode vnode) =>
        (vnode.AccessTime.Nanoseconds, vnode.ModifyTime.Nanoseconds, vnode.ChangeTime.Nanoseconds);

    private static byte[] Acl(ushort owner, ushort group, ushort others)
    {
        byte[] acl = new byte[28];
        BinaryPrimitives.WriteUInt32LittleEndian(acl, 2);
        (ushort Tag, ushort Permissions)[] entries = [(1, owner), (4, group), (32, others)];
        for (int i = 0; i < entries.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(acl.AsSpan(4 + (8 * i)), entries[i].Tag);
            BinaryPrimitives.WriteUInt16LittleEndian(acl.AsSpan(6 + (8 * i)), entries[i].Permissions);
        }

        return acl;
    }
}
