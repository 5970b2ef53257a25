using KvFs.Core;
using KvFs.Node.Tests.Maintenance;
using KvFs.Protocol;

namespace KvFs.Node.Tests;

public sealed class RestoreTests : QuietNodeTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_comes_right_after_a_restore_shows_the_links_that_it_took_away_as_gone(bool isClone)
    {
        IDriveSession session = await OpenAsync("d");
        CreateRequest folder = new() { Parent = VNodeId.Root, Name = "t"u8, Kind = VNodeKind.Directory, Mode = 0b111_101_101 };
        VNodeId tree = (await session.CreateAsync(in folder)).Value.Id;
        CreateRequest inside = new() { Parent = tree, Name = "x"u8, Kind = VNodeKind.File, Mode = 0b110_100_100 };
        VNodeId file = (await session.CreateAsync(in inside)).Value.Id;
        Assert.Equal(Status.Ok, (await Node.Admin.CreateSnapshotAsync("d", "s", default)).Status);
        LinkRequest link = new() { Node = file, NewParent = VNodeId.Root, NewName = "y"u8 };
        Assert.Equal(2U, (await session.LinkAsync(in link)).Value.VNode.Nlink);
        Assert.Equal(Status.Ok, await Node.Admin.RestoreAsync("d", "s", "t", default));

        CowNumber at = CowNumber.Head;
        if (isClone)
        {
            Assert.Equal(Status.Ok, (await Node.Admin.CloneAsync("d", null, "c", default)).Status);
            session = (await Node.Admin.OpenSessionAsync("c", SessionAccess.Alone, default)).Value;
        }
        else { at = (await Node.Admin.CreateSnapshotAsync("d", "t", default)).Value.At; }

        Assert.Equal(1U, (await session.LookupAsync(VNodeId.Root, "y"u8, at)).Value.VNode.Nlink);
    }
}
