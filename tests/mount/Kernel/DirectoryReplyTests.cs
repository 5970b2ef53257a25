using System.Runtime.InteropServices;
using KvFs.Core;

namespace KvFs.Mount.Tests.Kernel;

public sealed class DirectoryReplyTests
{
    [Theory]
    [InlineData(1, 32)]
    [InlineData(8, 32)]
    [InlineData(9, 40)]
    [InlineData(255, 280)]
    public void An_entry_takes_its_head_and_its_name_rounded_up_to_8(int nameLength, int expected)
    {
        byte[] room = new byte[1024];
        DirectoryReply reply = new(room, plus: false);
        Assert.True(reply.TryAdd(new byte[nameLength].AsSpan(), 5, 8, 1));
        Assert.Equal(expected, reply.Length);
    }

    [Fact]
    public void Entries_are_laid_out_as_the_kernel_reads_them()
    {
        byte[] room = new byte[4096];
        room.AsSpan().Fill(0xEE);
        DirectoryReply reply = new(room, plus: true);
        FuseEntryOut attributes = new() { Nodeid = 9, AttrValid = 3 };
        Assert.True(reply.TryAddPlus("abc"u8, attributes, 9, 8, cookie: 77));
        Assert.True(reply.TryAddPlus("de"u8, default, 4, 4, cookie: 78));
        Assert.Equal(9UL, MemoryMarshal.Read<FuseEntryOut>(room).Nodeid);
        FuseDirent dirent = MemoryMarshal.Read<FuseDirent>(room.AsSpan(128));
        Assert.Equal((9UL, 77UL, 3U, 8U), (dirent.Ino, dirent.Off, dirent.Namelen, dirent.Type));
        Assert.Equal("abc\0\0\0\0\0"u8, room.AsSpan(152, 8));
        Assert.Equal(78UL, MemoryMarshal.Read<FuseDirent>(room.AsSpan(160 + 128)).Off);
        Assert.Equal(320, reply.Length);
    }

    [Fact]
    public void A_full_reply_takes_no_part_of_an_entry()
    {
        byte[] room = new byte[63];
        DirectoryReply reply = new(room, plus: false);
        Assert.True(reply.TryAdd("a"u8, 1, 8, 1));
        Assert.False(reply.TryAdd("b"u8, 2, 8, 2));
        Assert.Equal(32, reply.Length);
        Assert.True(room.AsSpan(32).IndexOfAnyExcept((byte)0) < 0);
    }

    [Fact]
    public void A_cookie_beyond_63_bits_or_a_bad_name_is_a_bug_of_the_caller()
    {
        Assert.Throws<InvariantException>(() => Add("a"u8, 1UL << 63));
        Assert.Throws<InvariantException>(() => Add([], 1));
        Assert.Throws<InvariantException>(() => Add(new byte[256], 1));
    }

    private static void Add(ReadOnlySpan<byte> name, ulong cookie)
    {
        DirectoryReply reply = new(new byte[1024], plus: false);
        reply.TryAdd(name, 1, 8, cookie);
    }
}
