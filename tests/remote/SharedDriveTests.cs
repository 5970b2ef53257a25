using System.Buffers.Binary;
using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using static KvFs.Remote.Tests.SharedFiles;

namespace KvFs.Remote.Tests;

/// <summary>Several clients that have one drive at the same time, and write.</summary>
public sealed class SharedDriveTests
{
    private const int Clients = 3;

    [Fact]
    public async Task What_one_client_is_answered_the_others_see()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        OpenFile written = await CreateAsync(one, "f");
        OpenFile read = await FindAsync(other, "f");
        Assert.Empty(await ReadAsync(other, read));

        // In the transaction itself, in a block, over a bit of both, and beyond a hole.
        byte[] expected = [];
        foreach ((int offset, int length) in new[] { (0, 100), (50, 200_000), (10, 70_000), (1_000_000, 5), (150_000, 5_000_000), (3, 1) })
        {
            byte[] part = Bytes(length, offset + length);
            if (expected.Length < offset + length) { Array.Resize(ref expected, offset + length); }
            part.CopyTo(expected, offset);
            Assert.Equal(Reply.Ok(length), await one.WriteAsync(written, (ulong)offset, part, default));
            CheckSame(expected, await ReadAsync(other, read));
            CheckSame(expected, await ReadAsync(one, written));
        }

        // The other way, and what cuts.
        Assert.Equal(Reply.Ok(4), await other.WriteAsync(read, 2, "back"u8.ToArray(), default));
        "back"u8.CopyTo(expected.AsSpan(2));
        CheckSame(expected, await ReadAsync(one, written));
        SetAttributesRequest cut = new() { Node = written.Id, Mask = AttributeMask.Size, Size = 120_000 };
        Assert.Equal(Status.Ok, (await other.SetAttributesAsync(cut)).Status);
        Assert.Equal(120_000UL, (await one.GetAsync(written.Id, CowNumber.Head)).Value.VNode.Size);
        CheckSame(expected[..120_000], await ReadAsync(one, written));
        RangeRequest hole = new(written.Id, RangeOperation.PunchHole, 4096, 8192, KeepSize: true);
        Assert.Equal(Status.Ok, (await one.ChangeRangeAsync(hole)).Status);
        expected.AsSpan(4096, 8192).Clear();
        CheckSame(expected[..120_000], await ReadAsync(other, read));
        Assert.Equal(0, one.DirtyMemory.RentedBuffers);
        Assert.Equal(Status.Ok, await one.CloseAsync(written));
        Assert.Equal(Status.Ok, await other.CloseAsync(read));
    }

    [Fact]
    public async Task What_several_append_at_the_same_time_is_all_there_once_and_whole()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient maker = await OpenAsync(world);
        await maker.CloseAsync(await CreateAsync(maker, "log"));
        const int Lines = 60;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(writer => Task.Run(async () =>
        {
            await using DriveClient client = await OpenAsync(world);
            OpenFile log = await FindAsync(client, "log");
            for (int line = 0; line < Lines; line++)
            {
                // Some are large enough for a block. The offset is what a kernel that knows nothing would say.
                byte[] record = Record(writer, line);
                Assert.Equal(Reply.Ok(record.Length), await client.WriteAsync(log, 0, record, new(false, false, Append: true)));
            }

            Assert.Equal(Status.Ok, await client.CloseAsync(log));
        })));

        byte[] content = await ReadAsync(maker, await FindAsync(maker, "log"));
        int[] next = new int[Clients];
        for (int at = 0; at < content.Length;)
        {
            int writer = content[at];
            byte[] expected = Record(writer, next[writer]++);
            CheckSame(expected, content[at..(at + expected.Length)]);
            at += expected.Length;
        }

        Assert.All(next, static lines => Assert.Equal(Lines, lines));
    }

    [Fact]
    public async Task A_name_is_made_by_one_of_them_and_all_files_are_there()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        const int Names = 40;
        int[] made = new int[Names];
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(writer => Task.Run(async () =>
        {
            await using DriveClient client = await OpenAsync(world);
            for (int name = 0; name < Names; name++)
            {
                ValueTask<Reply<CreatedFile>> creating = client.CreateOpenAsync(RequestFor($"n{name}"));
                Reply<CreatedFile> created = await creating;
                if (created.Status == Status.Exists) { continue; }
                Assert.Equal(Status.Ok, created.Status);
                Interlocked.Increment(ref made[name]);
                Assert.Equal(Reply.Ok(1), await client.WriteAsync(created.Value.File, 0, new[] { (byte)writer }, default));
                Assert.Equal(Status.Ok, await client.CloseAsync(created.Value.File));
            }
        })));

        Assert.All(made, static count => Assert.Equal(1, count));
        await using DriveClient reader = await OpenAsync(world);
        for (int name = 0; name < Names; name++) { Assert.Single(await ReadAsync(reader, await FindAsync(reader, $"n{name}"))); }
    }

    [Fact]
    public async Task A_file_that_one_removes_stays_for_who_has_it_open()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        OpenFile open = await CreateAsync(one, "f");
        Assert.Equal(Reply.Ok(3), await one.WriteAsync(open, 0, "abc"u8.ToArray(), default));
        ValueTask<Reply<UnlinkResult>> unlinking = other.UnlinkAsync(new() { Parent = VNodeId.Root, Name = "f"u8 });
        Assert.Equal(Status.Ok, (await unlinking).Status);
        Assert.Equal(Reply.Ok(3), await one.WriteAsync(open, 3, "def"u8.ToArray(), default));
        Assert.Equal("abcdef", Encoding.UTF8.GetString(await ReadAsync(one, open)));
        VNodeId id = open.Id;
        Assert.Equal(Status.Ok, await one.CloseAsync(open));
        Assert.Equal(Status.Stale, (await other.GetAsync(id, CowNumber.Head)).Status);
    }

    [Fact]
    public async Task A_quota_is_for_all_of_them_to_the_byte()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        Assert.Equal(Status.Ok, (await world.Admin.ResizeDriveAsync(RemoteWorld.Drive, 1 << 20, 0, CancellationToken.None)).Status);
        await using DriveClient one = await OpenAsync(world);
        await using DriveClient other = await OpenAsync(world);
        OpenFile first = await CreateAsync(one, "a");
        OpenFile second = await CreateAsync(other, "b");
        Assert.Equal(Reply.Ok(1_000_000), await one.WriteAsync(first, 0, new byte[1_000_000], default));

        // As much as there is room for, in pages; then to the byte.
        Assert.Equal(Reply.Ok(11 * 4096), await other.WriteAsync(second, 0, new byte[100_000], default));
        Assert.Equal(Reply.Ok(48_576 - (11 * 4096)), await other.WriteAsync(second, 11 * 4096, new byte[48_576 - (11 * 4096)], default));
        Assert.Equal(Status.NoSpace, (await other.WriteAsync(second, 48_576, new byte[1], default)).Status);
        Assert.Equal(Status.NoSpace, (await one.WriteAsync(first, 1_000_000, new byte[1], default)).Status);

        // Over what is there it needs none.
        Assert.Equal(Reply.Ok(1_000_000), await one.WriteAsync(first, 0, Bytes(1_000_000, 7), default));
        CheckSame(Bytes(1_000_000, 7), await ReadAsync(other, await FindAsync(other, "a")));
    }

    [Theory]
    [InlineData(SessionAccess.Alone, SessionAccess.Shared)]
    [InlineData(SessionAccess.Shared, SessionAccess.Alone)]
    [InlineData(SessionAccess.Shared, SessionAccess.ReadOnly)]
    [InlineData(SessionAccess.ReadOnly, SessionAccess.Shared)]
    public async Task Who_caches_is_not_let_in_beside_who_shares(SessionAccess first, SessionAccess second)
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using (await world.OpenAsync(first))
        {
            Reply<IDriveSession> refused = await world.Admin.OpenSessionAsync(RemoteWorld.Drive, second, CancellationToken.None);
            Assert.Equal(Status.InUse, refused.Status);
        }

        await using IDriveSession later = await world.OpenAsync(second);
        Assert.Equal(second, later.Access);
    }

    [Fact]
    public async Task Who_only_reads_beside_others_may_not_write()
    {
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        await using DriveClient writer = await OpenAsync(world);
        OpenFile file = await CreateAsync(writer, "f");
        await using DriveClient reader = new(await world.OpenAsync(SessionAccess.SharedReadOnly), new(), TimeProvider.System);
        OpenFile read = await FindAsync(reader, "f");
        Assert.Equal(Status.ReadOnly, (await reader.WriteAsync(read, 0, new byte[1], default)).Status);
        Assert.Equal(Status.ReadOnly, (await reader.WriteAsync(read, 0, new byte[100_000], default)).Status);
        Assert.Equal(Reply.Ok(2), await writer.WriteAsync(file, 0, "hi"u8.ToArray(), default));
        Assert.Equal("hi", Encoding.UTF8.GetString(await ReadAsync(reader, read)));
    }

    private static async Task<byte[]> ReadAsync(DriveClient client, OpenFile file)
    {
        using MemoryStream content = new();
        byte[] buffer = new byte[333_333];
        for (; ; )
        {
            Reply<int> read = await client.ReadAsync(file, (ulong)content.Length, buffer);
            Assert.Equal(Status.Ok, read.Status);
            if (read.Value == 0) { return content.ToArray(); }
            content.Write(buffer, 0, read.Value);
        }
    }

    /// <summary>Who, which, and bytes that follow from both.</summary>
    private static byte[] Record(int writer, int line)
    {
        byte[] record = Bytes(8 + (line % 20 == 7 ? 100_000 : line * 13 % 600), (writer * 1000) + line);
        record[0] = (byte)writer;
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(4), line);
        return record;
    }

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static void CheckSame(byte[] expected, byte[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.Equal(expected.Length, expected.AsSpan().CommonPrefixLength(actual));
    }
}
