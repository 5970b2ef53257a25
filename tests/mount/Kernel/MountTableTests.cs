namespace KvFs.Mount.Tests.Kernel;

public sealed class MountTableTests
{
    [Fact]
    public void The_topmost_mount_of_a_path_is_found()
    {
        string[] lines =
        [
            "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
            "30 22 0:40 / /mnt/a rw,nosuid shared:5 master:1 - fuse.kvfs first rw,user_id=0",
            "31 30 0:41 / /mnt/a rw - fuse second rw",
            "32 22 0:42 / /mnt/a/below rw - tmpfs tmpfs rw",
        ];
        MountEntry? top = MountTable.FindTop(lines, "/mnt/a");
        Assert.Equal(("0:41", "fuse", "second"), (top?.Device, top?.Type, top?.Source));
        Assert.True(top!.IsFuse);
        Assert.Equal(41U, top.ConnectionNumber);
        Assert.False(MountTable.FindTop(lines, "/mnt/a/below")!.IsFuse);
        Assert.Null(MountTable.FindTop(lines, "/mnt"));
    }

    [Fact]
    public void Blanks_and_other_escapes_in_a_path_are_read()
    {
        string[] lines = [@"30 22 0:40 / /mnt/with\040blank\134and\011tab rw - fuse.kvfs a\040source rw"];
        MountEntry? entry = MountTable.FindTop(lines, "/mnt/with blank\\and\ttab");
        Assert.Equal("a source", entry?.Source);
    }

    [Theory]
    [InlineData("")]
    [InlineData("30 22 0:40 / /x rw")]
    [InlineData("30 22 0:40 / /x rw - ")]
    [InlineData("a b c d /x f - h i j")]
    public void A_line_that_is_no_entry_is_passed_over(string line) => Assert.Null(MountTable.FindTop([line], "/x"));
}
