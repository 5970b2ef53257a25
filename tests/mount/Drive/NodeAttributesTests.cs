using KvFs.Core;

namespace KvFs.Mount.Tests.Drive;

/// <summary>VNodes as the kernel sees them.</summary>
public sealed class NodeAttributesTests
{
    [Theory]
    [InlineData(VNodeKind.File, 0x81A4)]
    [InlineData(VNodeKind.Directory, 0x41A4)]
    [InlineData(VNodeKind.Symlink, 0xA1A4)]
    [InlineData(VNodeKind.CharacterDevice, 0x21A4)]
    [InlineData(VNodeKind.BlockDevice, 0x61A4)]
    [InlineData(VNodeKind.Fifo, 0x11A4)]
    [InlineData(VNodeKind.Socket, 0xC1A4)]
    public void Kind_and_mode_make_the_mode_of_stat(VNodeKind kind, uint expected)
    {
        VNode node = new() { Kind = kind, Mode = 0x1A4 };
        Assert.Equal(expected, NodeAttributes.ToAttr(node, 1).Mode);
        Assert.Equal(expected >> 12, NodeAttributes.EntryType(kind));
        bool isMade = kind is not (VNodeKind.Directory or VNodeKind.Symlink);
        Assert.Equal(isMade, NodeAttributes.TryGetKind(expected, out VNodeKind found));
        if (isMade) { Assert.Equal(kind, found); }
    }

    [Fact]
    public void Times_before_1970_have_positive_nanoseconds()
    {
        VNode node = new() { AccessTime = new(-1), ModifyTime = new(1_999_999_999) };
        FuseAttr attr = NodeAttributes.ToAttr(node, 1);
        Assert.Equal((-1L, 999_999_999u), ((long)attr.Atime, attr.Atimensec));
        Assert.Equal((1UL, 999_999_999u), (attr.Mtime, attr.Mtimensec));
        FuseStatx statx = NodeAttributes.ToStatx(node, 1);
        Assert.Equal((-1L, 999_999_999u), (statx.Atime.TvSec, statx.Atime.TvNsec));
    }

    [Fact]
    public void Device_numbers_are_taken_apart_as_the_kernel_puts_them_together()
    {
        const uint Major = 0xABC;
        const uint Minor = 0xDEF12;
        uint encoded = (Minor & 0xFF) | (Major << 8) | ((Minor & ~0xFFu) << 12);
        FuseStatx statx = NodeAttributes.ToStatx(new() { Kind = VNodeKind.BlockDevice, Rdev = encoded }, 1);
        Assert.Equal((Major, Minor), (statx.RdevMajor, statx.RdevMinor));
    }

    [Fact]
    public void Blocks_count_begun_units_of_512_bytes()
    {
        Assert.Equal(0UL, NodeAttributes.ToAttr(new() { Size = 1 << 20 }, 1).Blocks);
        Assert.Equal(1UL, NodeAttributes.ToAttr(new() { AllocatedBytes = 1 }, 1).Blocks);
        Assert.Equal(8UL, NodeAttributes.ToAttr(new() { AllocatedBytes = 4096 }, 1).Blocks);
    }
}
