using KvFs.Core;
using KvFs.Node.Storage;
using KvFs.Protocol;

namespace KvFs.Node.Tests.Maintenance;

public sealed class FlattenerTests : QuietNodeTests
{
    [Fact]
    public async Task A_long_chain_is_flattened_at_its_eighth_clone_and_cut_behind_it_for_those_after()
    {
        await MakeChainAsync(Limits.CloneDepth + 3);
        Flatten();
        Assert.Equal(1, Node.Flattener.Flattened);
        Assert.True(Node.Drive($"c{Limits.CloneDepth}").State.Policy.IsFlat);
        Assert.Equal(3, Node.Drive($"c{Limits.CloneDepth + 3}").State.Policy.Inherited.Length);
        Assert.False(Node.Flattener.Run(default));
        IDriveSession last = (await Node.Admin.OpenSessionAsync($"c{Limits.CloneDepth + 3}", SessionAccess.Alone, default)).Value;
        Assert.Equal(Status.Ok, (await last.LookupAsync(VNodeId.Root, "f7"u8, CowNumber.Head)).Status);
    }

    [Fact]
    public async Task What_is_deleted_in_a_clone_that_has_become_flat_is_gone_for_readers_that_were_there_before()
    {
        await MakeChainAsync(Limits.CloneDepth);
        IDriveSession session = (await Node.Admin.OpenSessionAsync($"c{Limits.CloneDepth}", SessionAccess.Alone, default)).Value;
        Assert.Equal(Status.Ok, (await session.LookupAsync(VNodeId.Root, "f3"u8, CowNumber.Head)).Status);
        Flatten();
        Assert.True(Node.Drive($"c{Limits.CloneDepth}").State.Policy.IsFlat);
        UnlinkRequest unlink = new() { Parent = VNodeId.Root, Name = "f3"u8 };
        Assert.Equal(Status.Ok, (await session.UnlinkAsync(in unlink)).Status);
        Assert.Equal(Status.NotFound, (await session.LookupAsync(VNodeId.Root, "f3"u8, CowNumber.Head)).Status);
        Assert.Equal(Status.Ok, (await session.LookupAsync(VNodeId.Root, "f4"u8, CowNumber.Head)).Status);
    }

    [Fact]
    public async Task Where_there_is_no_room_a_chain_stays_long_and_shows_the_same()
    {
        await MakeChainAsync(Limits.CloneDepth);

        // So large a question is never answered from memory, and whoever asks next asks the disk, too.
        Node.Disk.FreeBytes = 0;
        Assert.Equal(Status.NoSpace, Node.Blocks.Space.Check(1 << 30, SpaceUse.Data));
        Assert.False(Node.Flattener.Run(default));
        Assert.Equal(Limits.CloneDepth, Node.Drive($"c{Limits.CloneDepth}").State.Policy.Inherited.Length);
        Node.Disk.FreeBytes = null;
        Flatten();
        Assert.True(Node.Drive($"c{Limits.CloneDepth}").State.Policy.IsFlat);
    }

    private async Task MakeChainAsync(int depth)
    {
        Assert.Equal(
            Status.Ok, (await Node.Admin.CreateDriveAsync(new("c0", DriveKind.FileSystem, 0, 0), default)).Status);
        for (int at = 1; at <= depth; at++)
        {
            await using (IDriveSession session = (await Node.Admin.OpenSessionAsync($"c{at - 1}", SessionAccess.Alone, default)).Value)
            {
                CreateRequest create = new()
                {
                    Parent = VNodeId.Root,
                    Name = System.Text.Encoding.ASCII.GetBytes($"f{at}"),
                    Kind = VNodeKind.File,
                    Mode = 0b110_100_100,
                };
                Assert.Equal(Status.Ok, (await session.CreateAsync(in create)).Status);
            }

            Assert.Equal(Status.Ok, (await Node.Admin.CloneAsync($"c{at - 1}", null, $"c{at}", default)).Status);
        }
    }

    private void Flatten()
    {
        for (int call = 0; Node.Flattener.Run(default); call++) { Assert.InRange(call, 0, 1000); }
    }
}
