using Google.Protobuf;
using KvFs.Core;
using KvFs.Node.Replication;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Tests.Replication;

/// <summary>What a node holds of blocks that it was sent and could not store yet.</summary>
public sealed class BlocksUnderWayTests
{
    private static readonly NodeId s_one = new(1);
    private static readonly NodeId s_other = new(2);

    private readonly BlocksUnderWay blocks = new(maxBytes: 1000);

    [Fact]
    public void A_block_that_is_sent_again_is_held_once_and_all_that_sent_it_are_answered()
    {
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 5, number: 10, bytes: 600)));
        Assert.Equal(Status.Exists, blocks.Begin(s_one, Block(id: 5, number: 11, bytes: 600)));
        Assert.Equal(Status.Exists, blocks.Begin(s_other, Block(id: 5, number: 10, bytes: 600)));
        Assert.Equal([(s_one, 10UL), (s_one, 11UL), (s_other, 10UL)], blocks.End(Block(id: 5, number: 10, bytes: 600)));

        // It has ended: the next one is another one.
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 5, number: 12, bytes: 600)));
        Assert.Equal([(s_one, 12UL)], blocks.End(Block(id: 5, number: 12, bytes: 600)));
    }

    [Fact]
    public void A_block_that_is_sent_for_ever_does_not_grow()
    {
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 5, number: 1, bytes: 10)));
        for (ulong number = 2; number <= 1000; number++) { Assert.Equal(Status.Exists, blocks.Begin(s_one, Block(id: 5, number, bytes: 10))); }
        IReadOnlyList<(NodeId From, ulong Number)> asked = blocks.End(Block(id: 5, number: 1, bytes: 10));
        Assert.Equal(Enumerable.Range(985, 16).Select(static number => (s_one, (ulong)number)), asked);
    }

    [Fact]
    public void Another_reign_another_content_and_another_block_are_other_blocks()
    {
        V1.StoreBlock first = Block(id: 5, number: 1, bytes: 100);
        Assert.Equal(Status.Ok, blocks.Begin(s_one, first));
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 5, number: 2, bytes: 100, epoch: 8)));
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 5, number: 3, bytes: 100, crc: 9)));
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 6, number: 4, bytes: 100)));
        Assert.Equal([(s_one, 1UL)], blocks.End(first));
    }

    [Fact]
    public void Too_many_bytes_are_refused_until_some_are_stored_and_a_single_block_never_is()
    {
        V1.StoreBlock large = Block(id: 1, number: 1, bytes: 4000);
        Assert.Equal(Status.Ok, blocks.Begin(s_one, large));
        Assert.Equal(Status.Busy, blocks.Begin(s_one, Block(id: 2, number: 2, bytes: 1)));
        Assert.Equal(Status.Exists, blocks.Begin(s_one, Block(id: 1, number: 3, bytes: 4000)));
        blocks.End(large);
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 2, number: 4, bytes: 999)));
        Assert.Equal(Status.Ok, blocks.Begin(s_one, Block(id: 3, number: 5, bytes: 1)));
        Assert.Equal(Status.Busy, blocks.Begin(s_one, Block(id: 4, number: 6, bytes: 1)));
    }

    private static V1.StoreBlock Block(ulong id, ulong number, int bytes, ulong epoch = 7, uint crc = 3) => new()
    {
        Number = number,
        Head = new() { Shard = 4, Epoch = epoch, Owner = ByteString.CopyFrom(new byte[DriveId.Size]), Id = id, Length = (uint)bytes },
        Data = ByteString.CopyFrom(new byte[bytes]),
        Crc32C = crc,
    };
}
