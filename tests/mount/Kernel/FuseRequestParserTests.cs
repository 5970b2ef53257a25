using System.Runtime.InteropServices;
using System.Text;

namespace KvFs.Mount.Tests.Kernel;

public sealed class FuseRequestParserTests
{
    private const int MaxData = 1 << 20;
    private static readonly FuseParserSettings Settings = new(MaxData, SetxattrExt: true);

    [Fact]
    public void A_lookup_gives_its_name_and_its_caller()
    {
        byte[] request = new RequestBytes(FuseOpcode.Lookup) { NodeId = 7 }.Name("hello").Build();
        FuseParsedRequest parsed = ParseValid(request);
        Assert.Equal("hello", NameOf(request, parsed));
        FuseInHeader header = parsed.Header;
        Assert.Equal((7UL, 1000U, 1001U, 42U), (header.Nodeid, header.Uid, header.Gid, header.Pid));
    }

    [Theory]
    [InlineData(255, 0)]
    [InlineData(256, Errno.ENAMETOOLONG)]
    [InlineData(3000, Errno.ENAMETOOLONG)]
    [InlineData(0, Errno.EINVAL)]
    public void A_name_has_1_to_255_bytes(int length, int expected)
    {
        foreach (FuseOpcode opcode in (FuseOpcode[])[FuseOpcode.Lookup, FuseOpcode.Unlink, FuseOpcode.Rmdir])
        {
            Assert.Equal(expected, ErrorOf(new RequestBytes(opcode).Name(new string('n', length)).Build()));
        }

        byte[] create = new RequestBytes(FuseOpcode.Create)
            .Add(default(FuseCreateIn)).Name(new string('n', length)).Build();
        Assert.Equal(expected, ErrorOf(create));
    }

    [Fact]
    public void A_name_without_its_NUL_or_with_bytes_behind_it_is_refused()
    {
        Assert.Equal(Errno.EINVAL, ErrorOf(new RequestBytes(FuseOpcode.Lookup).Data("abc"u8.ToArray()).Build()));
        Assert.Equal(Errno.EINVAL, ErrorOf(new RequestBytes(FuseOpcode.Lookup).Name("abc").Data([1]).Build()));
        Assert.Equal(Errno.EINVAL, ErrorOf(new RequestBytes(FuseOpcode.Lookup).Build()));
    }

    [Theory]
    [InlineData("a/b", Errno.EINVAL, Errno.EINVAL)]
    [InlineData(".", 0, Errno.EINVAL)]
    [InlineData("..", 0, Errno.EINVAL)]
    [InlineData("...", 0, 0)]
    public void A_slash_is_never_in_a_name_and_dots_are_only_looked_up(string name, int lookup, int unlink)
    {
        Assert.Equal(lookup, ErrorOf(new RequestBytes(FuseOpcode.Lookup).Name(name).Build()));
        Assert.Equal(unlink, ErrorOf(new RequestBytes(FuseOpcode.Unlink).Name(name).Build()));
    }

    [Fact]
    public void A_rename_gives_both_names()
    {
        byte[] request = new RequestBytes(FuseOpcode.Rename2)
            .Add(new FuseRename2In { Newdir = 9, Flags = RenameFlags.Exchange }).Name("old").Name("newer").Build();
        FuseParsedRequest parsed = ParseValid(request);
        Assert.Equal("old", NameOf(request, parsed));
        Assert.Equal("newer", Encoding.UTF8.GetString(request, parsed.SecondNameOffset, parsed.SecondNameLength));
        byte[] half = new RequestBytes(FuseOpcode.Rename2).Add(default(FuseRename2In)).Name("old").Build();
        Assert.Equal(Errno.EINVAL, ErrorOf(half));
    }

    [Theory]
    [InlineData(4095, 0)]
    [InlineData(4096, Errno.ENAMETOOLONG)]
    public void A_symlinks_target_has_up_to_4095_bytes(int length, int expected)
    {
        byte[] request = new RequestBytes(FuseOpcode.Symlink).Name("link").Name(new string('t', length)).Build();
        Assert.Equal(expected, ErrorOf(request));
    }

    [Fact]
    public void A_write_carries_as_many_bytes_as_it_says()
    {
        byte[] data = [1, 2, 3, 4, 5];
        byte[] request = Write(new FuseWriteIn { Offset = 10, Size = 5 }, data);
        FuseParsedRequest parsed = ParseValid(request);
        Assert.Equal(data, request[parsed.PayloadOffset..(parsed.PayloadOffset + parsed.PayloadLength)]);
        Assert.Equal(Errno.EINVAL, ErrorOf(Write(new FuseWriteIn { Size = 6 }, data)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Write(new FuseWriteIn { Size = 4 }, data)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Write(new FuseWriteIn { Size = uint.MaxValue }, data)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Write(new FuseWriteIn { Size = 5, Offset = long.MaxValue - 4 }, data)));
        Assert.Equal(0, ErrorOf(Write(new FuseWriteIn { Size = 5, Offset = long.MaxValue - 5 }, data)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Write(new FuseWriteIn { Size = MaxData + 1 }, new byte[MaxData + 1])));
    }

    [Fact]
    public void A_read_asks_for_no_more_than_negotiated_and_stays_within_loff_t()
    {
        Assert.Equal(MaxData, ParseValid(Read(new FuseReadIn { Size = MaxData })).ReplyCapacity);
        Assert.Equal(Errno.EINVAL, ErrorOf(Read(new FuseReadIn { Size = MaxData + 1 })));
        Assert.Equal(Errno.EINVAL, ErrorOf(Read(new FuseReadIn { Size = 10, Offset = ulong.MaxValue })));
    }

    [Fact]
    public void A_body_of_another_size_is_refused()
    {
        Assert.Equal(Errno.EINVAL, ErrorOf(new RequestBytes(FuseOpcode.Getattr).Data(new byte[15]).Build()));
        Assert.Equal(Errno.EINVAL, ErrorOf(new RequestBytes(FuseOpcode.Getattr).Data(new byte[17]).Build()));
        Assert.Equal(0, ErrorOf(new RequestBytes(FuseOpcode.Getattr).Data(new byte[16]).Build()));
    }

    [Fact]
    public void A_forget_of_many_counts_what_is_there()
    {
        byte[] good = BatchForget(2, 2);
        Assert.Equal(2 * 16, ParseValid(good).PayloadLength);
        Assert.Equal(Errno.EINVAL, ErrorOf(BatchForget(3, 2)));
        Assert.Equal(Errno.EINVAL, ErrorOf(BatchForget(1, 2)));
        Assert.Equal(Errno.EINVAL, ErrorOf(BatchForget(uint.MaxValue, 2)));
    }

    [Fact]
    public void The_body_of_setxattr_is_longer_with_the_extension()
    {
        byte[] value = [9, 9, 9];
        byte[] extended = new RequestBytes(FuseOpcode.Setxattr)
            .Add(new FuseSetxattrIn { Size = 3 }).Name("user.a").Data(value).Build();
        FuseParsedRequest parsed = ParseValid(extended);
        Assert.Equal("user.a", NameOf(extended, parsed));
        Assert.Equal(value, extended[parsed.PayloadOffset..]);

        byte[] compat = new RequestBytes(FuseOpcode.Setxattr)
            .Add(new FuseSetxattrCompatIn { Size = 3 }).Name("user.a").Data(value).Build();
        FuseParserSettings old = new(MaxData, SetxattrExt: false);
        Assert.Equal(FuseParseOutcome.Valid, FuseRequestParser.Parse(compat, old, out parsed));
        Assert.Equal("user.a", NameOf(compat, parsed));
        Assert.Equal(value, compat[parsed.PayloadOffset..]);
    }

    [Fact]
    public void The_supplementary_group_of_a_create_is_found_behind_its_name()
    {
        byte[] request = new RequestBytes(FuseOpcode.Mkdir).Add(default(FuseMkdirIn)).Name("d").Groups(77).Build();
        FuseParsedRequest parsed = ParseValid(request);
        Assert.True(parsed.HasCreateGroup);
        Assert.Equal(77U, parsed.CreateGroup);
        Assert.Equal("d", NameOf(request, parsed));
        Assert.False(ParseValid(new RequestBytes(FuseOpcode.Mkdir).Add(default(FuseMkdirIn)).Name("d").Groups().Build())
            .HasCreateGroup);
    }

    [Fact]
    public void An_extension_that_counts_more_than_is_there_is_refused()
    {
        byte[] request = new RequestBytes(FuseOpcode.Mkdir).Add(default(FuseMkdirIn)).Name("d").Groups(77).Build();
        byte[] manyGroups = [.. request];
        MemoryMarshal.Write(manyGroups.AsSpan(^8), 1000U);
        Assert.Equal(Errno.EINVAL, ErrorOf(manyGroups));
        byte[] longExtension = [.. request];
        MemoryMarshal.Write(longExtension.AsSpan(^16), 1024U);
        Assert.Equal(Errno.EINVAL, ErrorOf(longExtension));
        byte[] noSize = [.. request];
        MemoryMarshal.Write(noSize.AsSpan(^16), 0U);
        Assert.Equal(Errno.EINVAL, ErrorOf(noSize));
        byte[] tooMany = [.. request];
        MemoryMarshal.Write(tooMany.AsSpan(36), ushort.MaxValue);
        Assert.Equal(Errno.EIO, ErrorOf(tooMany));
    }

    [Fact]
    public void A_lock_has_a_known_type_and_an_end_not_before_its_start()
    {
        Assert.Equal(0, ErrorOf(Lock(new FuseFileLock { Start = 5, End = 5, Type = LockType.Write })));
        Assert.Equal(Errno.EINVAL, ErrorOf(Lock(new FuseFileLock { Start = 6, End = 5 })));
        Assert.Equal(Errno.EINVAL, ErrorOf(Lock(new FuseFileLock { Start = 0, End = ulong.MaxValue })));
        Assert.Equal(Errno.EINVAL, ErrorOf(Lock(new FuseFileLock { Type = (LockType)3 })));
    }

    [Fact]
    public void Nanoseconds_of_a_time_that_is_set_are_below_a_second()
    {
        byte[] Set(FuseSetattrValid valid) => new RequestBytes(FuseOpcode.Setattr)
            .Add(new FuseSetattrIn { Valid = valid, Mtimensec = 1_000_000_000 }).Build();
        Assert.Equal(Errno.EINVAL, ErrorOf(Set(FuseSetattrValid.Mtime)));
        Assert.Equal(0, ErrorOf(Set(FuseSetattrValid.Mode)));
    }

    [Fact]
    public void Ranges_of_fallocate_lseek_and_copy_stay_within_loff_t()
    {
        byte[] Allocate(ulong offset, ulong length) => new RequestBytes(FuseOpcode.Fallocate)
            .Add(new FuseFallocateIn { Offset = offset, Length = length }).Build();
        Assert.Equal(0, ErrorOf(Allocate(0, 1)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Allocate(0, 0)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Allocate(long.MaxValue, 1)));

        byte[] Seek(ulong offset, SeekWhence whence) => new RequestBytes(FuseOpcode.Lseek)
            .Add(new FuseLseekIn { Offset = offset, Whence = whence }).Build();
        Assert.Equal(0, ErrorOf(Seek(0, SeekWhence.Hole)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Seek(0, SeekWhence.End)));
        Assert.Equal(Errno.ENXIO, ErrorOf(Seek(ulong.MaxValue, SeekWhence.Data)));

        byte[] Copy(FuseCopyFileRangeIn copy) => new RequestBytes(FuseOpcode.CopyFileRange64).Add(copy).Build();
        Assert.Equal(0, ErrorOf(Copy(new FuseCopyFileRangeIn { NodeidOut = 2, Len = 1UL << 40 })));
        FuseCopyFileRangeIn beyond = new() { NodeidOut = 2, OffOut = 1, Len = long.MaxValue };
        Assert.Equal(Errno.EINVAL, ErrorOf(Copy(beyond)));
        Assert.Equal(Errno.EINVAL, ErrorOf(Copy(new FuseCopyFileRangeIn { Len = 1 })));
    }

    [Fact]
    public void Nobody_can_be_answered_without_a_header_that_fits()
    {
        byte[] request = new RequestBytes(FuseOpcode.Statfs).Build();
        Assert.Equal(FuseParseOutcome.Unanswerable, FuseRequestParser.Parse(request.AsSpan(0, 39), Settings, out _));
        Assert.Equal(FuseParseOutcome.Unanswerable, FuseRequestParser.Parse([.. request, 0], Settings, out _));
        Assert.Equal(FuseParseOutcome.Unanswerable, FuseRequestParser.Parse([], Settings, out _));
        byte[] noNumber = new RequestBytes(FuseOpcode.Statfs) { Unique = 0 }.Build();
        Assert.Equal(FuseParseOutcome.Unanswerable, FuseRequestParser.Parse(noNumber, Settings, out _));
    }

    [Fact]
    public void An_operation_on_no_node_is_refused_and_an_unknown_one_is_not_implemented()
    {
        byte[] noNode = new RequestBytes(FuseOpcode.Getattr) { NodeId = 0 }.Add(default(FuseGetattrIn)).Build();
        Assert.Equal(Errno.EINVAL, ErrorOf(noNode));
        foreach (uint opcode in (uint[])[0, 7, 19, 41, 48, 49, 54, 4096, uint.MaxValue])
        {
            Assert.Equal(Errno.ENOSYS, ErrorOf(new RequestBytes((FuseOpcode)opcode).Data(new byte[24]).Build()));
        }
    }

    [Fact]
    public void INIT_of_an_old_kernel_has_16_bytes()
    {
        static RequestBytes Init() => new(FuseOpcode.Init) { NodeId = 0 };
        Assert.Equal(0, ErrorOf(Init().Data(new byte[16]).Build()));
        Assert.Equal(0, ErrorOf(Init().Add(default(FuseInitIn)).Build()));
        Assert.Equal(Errno.EINVAL, ErrorOf(Init().Data(new byte[15]).Build()));
    }

    private static byte[] Write(FuseWriteIn body, byte[] data) =>
        new RequestBytes(FuseOpcode.Write).Add(body).Data(data).Build();

    private static byte[] Read(FuseReadIn body) => new RequestBytes(FuseOpcode.Read).Add(body).Build();

    private static byte[] Lock(FuseFileLock range) =>
        new RequestBytes(FuseOpcode.Setlkw).Add(new FuseLkIn { Lk = range }).Build();

    private static byte[] BatchForget(uint count, int items) => new RequestBytes(FuseOpcode.BatchForget) { NodeId = 0 }
        .Add(new FuseBatchForgetIn { Count = count }).Data(new byte[items * 16]).Build();

    private static FuseParsedRequest ParseValid(byte[] request)
    {
        Assert.Equal(FuseParseOutcome.Valid, FuseRequestParser.Parse(request, Settings, out FuseParsedRequest parsed));
        return parsed;
    }

    private static int ErrorOf(byte[] request)
    {
        FuseParseOutcome outcome = FuseRequestParser.Parse(request, Settings, out FuseParsedRequest parsed);
        Assert.Equal(parsed.ErrorNumber == 0 ? FuseParseOutcome.Valid : FuseParseOutcome.Refused, outcome);
        return parsed.ErrorNumber;
    }

    private static string NameOf(byte[] request, in FuseParsedRequest parsed) =>
        Encoding.UTF8.GetString(request, parsed.NameOffset, parsed.NameLength);
}
