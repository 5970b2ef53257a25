using System.Buffers.Binary;
using KvFs.Core.Tests.Model;

namespace KvFs.Core.Tests.Namespace;

/// <summary>ACLs as Linux's own file systems treat them; the expected values were compared with ext4's.</summary>
public sealed class AclTests
{
    private const string Access = "system.posix_acl_access";
    private const string Default = "system.posix_acl_default";
    private const ushort Owner = 1;
    private const ushort User = 2;
    private const ushort Group = 4;
    private const ushort NamedGroup = 8;
    private const ushort Mask = 16;
    private const ushort Others = 32;

    private static readonly VNodeId Root = VNodeId.Root;
    private readonly TestDrive drive = new();
    private readonly VNodeId file;
    private readonly VNodeId directory;

    public AclTests()
    {
        file = drive.Given(Root, "f");
        directory = drive.GivenDirectory(Root, "d");
    }

    [Fact]
    public void An_extended_access_acl_is_kept_and_its_mask_is_the_group_bits()
    {
        byte[] acl = Acl((Owner, 7), (User, 6), (Group, 5), (Mask, 4), (Others, 1));
        Assert.Equal(Status.Ok, drive.SetXattr(file, Access, acl));
        VNode vnode = drive.Head.Get(file);
        Assert.Equal(0x1E1, vnode.Mode & 0x1FF);
        Assert.True(vnode.Flags.HasFlag(VNodeFlags.HasAccessAcl));
        Assert.Equal(acl, Get(file, Access));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void An_acl_that_the_mode_can_say_becomes_the_mode_and_is_not_kept()
    {
        drive.SetXattr(file, Access, Acl((Owner, 7), (User, 6), (Group, 5), (Mask, 4), (Others, 1)));
        Assert.Equal(Status.Ok, drive.SetXattr(file, Access, Acl((Owner, 6), (Group, 4), (Others, 0))));
        VNode vnode = drive.Head.Get(file);
        Assert.Equal(0x1A0, vnode.Mode & 0x1FF);
        Assert.False(vnode.Flags.HasFlag(VNodeFlags.HasAccessAcl));
        Assert.Equal(Status.NoAttribute, drive.Head.GetXattr(file, Access, out _));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Chmod_changes_the_mask_of_an_acl_not_its_group()
    {
        drive.SetXattr(file, Access, Acl((Owner, 7), (User, 6), (Group, 5), (Mask, 4), (Others, 1)));
        drive.Set(new() { Node = file, Mask = AttributeMask.Mode, Mode = 0x1BF });
        Assert.Equal(Acl((Owner, 6), (User, 6), (Group, 5), (Mask, 7), (Others, 7)), Get(file, Access));
        Assert.Equal(0x1BF, drive.Head.Get(file).Mode);
    }

    [Fact]
    public void Removing_an_acl_leaves_the_mode_and_removing_none_is_fine()
    {
        drive.SetXattr(file, Access, Acl((Owner, 7), (User, 6), (Group, 5), (Mask, 4), (Others, 1)));
        Assert.Equal(Status.Ok, drive.RemoveXattr(file, Access));
        Assert.Equal(0x1E1, drive.Head.Get(file).Mode & 0x1FF);
        Assert.False(drive.Head.Get(file).Flags.HasFlag(VNodeFlags.HasAccessAcl));
        Assert.Equal(Status.Ok, drive.RemoveXattr(file, Access));
        drive.SetXattr(directory, Default, Acl((Owner, 7), (Group, 5), (Others, 1)));
        Assert.Equal(Status.Ok, drive.SetXattr(directory, Default, Acl()));
        Assert.False(drive.Head.Get(directory).Flags.HasFlag(VNodeFlags.HasDefaultAcl));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void Set_gid_goes_where_the_kernel_asks_for_it()
    {
        drive.Set(new() { Node = file, Mask = AttributeMask.Mode, Mode = 0x5F8 });
        byte[] acl = Acl((Owner, 7), (Group, 5), (Others, 1));
        drive.SetXattr(file, Access, acl);
        Assert.Equal(0x5E9, drive.Head.Get(file).Mode);
        drive.Run(t => SetXattr.Apply(
            new() { Node = file, Name = PosixAcl.AccessName, Value = acl, KillSetGid = true }, t, out _));
        Assert.Equal(0x1E9, drive.Head.Get(file).Mode);
    }

    [Fact]
    public void A_default_acl_is_for_directories()
    {
        byte[] acl = Acl((Owner, 7), (Group, 5), (Others, 1));
        Assert.Equal(Status.AccessDenied, drive.SetXattr(file, Default, acl));
        Assert.Equal(Status.Ok, drive.SetXattr(file, Default, Acl()));
        Assert.Equal(Status.Ok, drive.SetXattr(directory, Default, acl));
        Assert.True(drive.Head.Get(directory).Flags.HasFlag(VNodeFlags.HasDefaultAcl));
    }

    [Fact]
    public void New_files_take_the_default_acl_cut_down_by_the_mode_and_no_umask()
    {
        drive.SetXattr(directory, Default, Acl((Owner, 7), (User, 7), (Group, 5), (Mask, 7), (Others, 5)));
        VNodeId made = MakeWithUmask(VNodeKind.File, 0x1B4);
        Assert.Equal(0x1B4, drive.Head.Get(made).Mode);
        Assert.Equal(Acl((Owner, 6), (User, 7), (Group, 5), (Mask, 6), (Others, 4)), Get(made, Access));
        Assert.Equal(Status.NoAttribute, drive.Head.GetXattr(made, Default, out _));
        FindingList.Nothing(drive);
    }

    [Fact]
    public void New_directories_also_hand_the_default_acl_down()
    {
        byte[] acl = Acl((Owner, 7), (User, 7), (Group, 5), (Mask, 7), (Others, 5));
        drive.SetXattr(directory, Default, acl);
        VNodeId made = MakeWithUmask(VNodeKind.Directory, 0x1FF);
        Assert.Equal(acl, Get(made, Default));
        Assert.Equal(acl, Get(made, Access));
        Assert.Equal(0x1FD, drive.Head.Get(made).Mode);
        FindingList.Nothing(drive);
    }

    [Fact]
    public void A_minimal_default_acl_becomes_the_mode_of_what_is_made()
    {
        drive.SetXattr(directory, Default, Acl((Owner, 7), (Group, 4), (Others, 0)));
        VNodeId made = MakeWithUmask(VNodeKind.File, 0x1B6);
        Assert.Equal(0x1A0, drive.Head.Get(made).Mode);
        Assert.Equal(Status.NoAttribute, drive.Head.GetXattr(made, Access, out _));
        VNodeId symlink = drive.Given(directory, "symlink", VNodeKind.Symlink);
        Assert.Equal(VNodeFlags.None, drive.Head.Get(symlink).Flags);
    }

    [Fact]
    public void Only_complete_and_ordered_acls_are_taken()
    {
        (ushort, ushort)[][] wrong =
        [
            [(Owner, 7)],
            [(Owner, 7), (Group, 5)],
            [(Group, 5), (Owner, 7), (Others, 5)],
            [(Owner, 7), (Owner, 7), (Group, 5), (Others, 5)],
            [(Owner, 7), (User, 7), (Group, 5), (Others, 5)],
            [(Owner, 7), (Group, 5), (NamedGroup, 5), (Others, 5)],
            [(Owner, 8), (Group, 5), (Others, 5)],
            [(Owner, 7), (Group, 5), (Mask, 7), (Mask, 7), (Others, 5)],
            [(Owner, 7), (Group, 5), (64, 7), (Others, 5)],
            [(Owner, 7), (Group, 5), (Others, 5), (Others, 5)],
        ];
        foreach ((ushort, ushort)[] entries in wrong)
        {
            Assert.Equal(Status.Invalid, drive.SetXattr(file, Access, Acl(entries)));
        }

        byte[] right = Acl((Owner, 7), (User, 7), (User, 5), (Group, 5), (NamedGroup, 1), (Mask, 7), (Others, 5));
        Assert.Equal(Status.Ok, drive.SetXattr(file, Access, right));
        Assert.Equal(Status.Invalid, drive.SetXattr(file, Access, right.AsSpan(0, right.Length - 1)));
        Assert.Equal(Status.Invalid, drive.SetXattr(file, Access, "abc"u8));
        right[0] = 3;
        Assert.Equal(Status.NotSupported, drive.SetXattr(file, Access, right));
        right[0] = 2;
        right.AsSpan(4 + 8 + 4, 4).Fill(0xFF);
        Assert.Equal(Status.Invalid, drive.SetXattr(file, Access, right));
    }

    private byte[] Get(VNodeId id, string name)
    {
        Assert.Equal(Status.Ok, drive.Head.GetXattr(id, name, out byte[] value));
        return value;
    }

    private VNodeId MakeWithUmask(VNodeKind kind, ushort mode)
    {
        NodeInfo made = default;
        Assert.Equal(Status.Ok, drive.Run(t => Create.Apply(
            new() { Parent = directory, Name = "made"u8, Kind = kind, Mode = mode, Umask = 0x1FF }, t, out made)));
        return made.Id;
    }

    private static byte[] Acl(params (ushort Tag, ushort Permissions)[] entries)
    {
        byte[] acl = new byte[4 + (8 * entries.Length)];
        BinaryPrimitives.WriteUInt32LittleEndian(acl, 2);
        for (int i = 0; i < entries.Length; i++)
        {
            Span<byte> entry = acl.AsSpan(4 + (8 * i));
            (ushort tag, ushort permissions) = entries[i];
            BinaryPrimitives.WriteUInt16LittleEndian(entry, tag);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[2..], permissions);
            bool named = tag is User or NamedGroup;
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], named ? 1000 + (uint)i : uint.MaxValue);
        }

        return acl;
    }
}
