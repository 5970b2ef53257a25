using System.Collections.Immutable;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Protocol.Wire;

namespace KvFs.Protocol.Tests;

/// <summary>What nodes say of themselves, on the wire.</summary>
public sealed class ActivityTests
{
    private static readonly InSyncReplica s_process = new(new(3), new(1003), new((UInt128)7 << 64));

    [Fact]
    public void What_a_node_did_arrives_as_it_was_told()
    {
        NodeActivity told = new(
            s_process.Node, s_process.Boot, TimeSpan.FromMicroseconds(1_234_567), false, "smoke", 1, 2, 3, 4, 5, 6,
            [new(new((UInt128)9), "drive", 10, 11, 12, 13, 14, TimeSpan.FromMilliseconds(15), 16)])
        {
            Revision = 17,
            Condition = new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
            Peers = ImmutableDictionary<NodeId, NodePresence>.Empty
                .Add(new(1), NodePresence.Here).Add(new(2), NodePresence.Silent).Add(new(4), NodePresence.Lost),
        };
        NodeActivity heard = V1.ActivityReply.Parser.ParseFrom(told.ToWire().ToByteArray()).ToCore();
        ImmutableDictionary<NodeId, NodePresence> nobody = ImmutableDictionary<NodeId, NodePresence>.Empty;
        ImmutableArray<DriveActivity> nothing = [];
        Assert.Equal(told with { Drives = nothing, Peers = nobody }, heard with { Drives = nothing, Peers = nobody });
        Assert.Equal(told.Drives.AsEnumerable(), heard.Drives);
        Assert.Equal(told.Peers.OrderBy(static peer => peer.Key.Value), heard.Peers.OrderBy(static peer => peer.Key.Value));
    }

    [Fact]
    public void How_far_a_copy_is_arrives_as_it_was_told()
    {
        foreach (LogPosition? last in (LogPosition?[])[null, default(LogPosition), new(new(5), new(6))])
        {
            CopyReport told = new(s_process, last, [new(1), new(2)]);
            CopyReport heard = V1.ShardCopyReply.Parser.ParseFrom(told.ToWire().ToByteArray()).ToCore();
            Assert.Equal((told.Process, told.Last), (heard.Process, heard.Last));
            Assert.Equal(told.Heard.AsEnumerable(), heard.Heard);
        }
    }

    [Fact]
    public void The_copies_of_a_node_arrive_as_they_were_told()
    {
        foreach (HealingState? state in (HealingState?[])[null, new(TimeSpan.FromMicroseconds(1_234_567), 2, 3, 4, 5)])
        {
            HeldCopies told = new(
                s_process.Node,
                [
                    new(new(1), new(new(2), new(3)), [new(new((UInt128)9), "drive", 10)], new(11, 12)),
                    new(new(4), default, [], null),
                ],
                state);
            HeldCopies heard = V1.CopiesReply.Parser.ParseFrom(told.ToWire().ToByteArray()).ToCore();
            Assert.Equal((told.Node, told.Healing), (heard.Node, heard.Healing));
            Assert.Equal(told.Copies.Select(static copy => (copy.Shard, copy.Last)), heard.Copies.Select(static copy => (copy.Shard, copy.Last)));
            Assert.Equal(told.Copies[0].Drives.AsEnumerable(), heard.Copies[0].Drives);

            // Nobody has fetched more than was missing.
            Assert.Equal([new BlockFetching(11, 11), null], heard.Copies.Select(static copy => copy.Fetching));
        }

        V1.CopiesReply wide = new() { Copies = { new V1.HeldCopy { Drives = { new V1.HeldDrive { Id = ByteString.CopyFrom(new byte[DriveId.Size]), Spread = 101 } } } } };
        Assert.Throws<InvalidDataException>(wide.ToCore);
    }

    [Fact]
    public void The_map_that_a_node_knows_arrives_whole_or_not_at_all()
    {
        PoolMap map = PoolMapChange.Found(
            new(4711), PoolSettings.Default, 2, [(new("n1", ["10.0.0.1:9740"], "z", PoolLimits.NormalWeight, s_process.Disk), s_process.Boot)]).Map!;
        V1.KnownMapReply sent = new KnownMap(new(1), map).ToWire("went back");
        Assert.Equal("went back", sent.Refusal);
        KnownMap heard = V1.KnownMapReply.Parser.ParseFrom(sent.ToByteArray()).ToCore();
        Assert.Equal(new(1), heard.Node);
        Assert.Null(PoolMapSuccession.FindRefusal(map, heard.Map));
        Assert.Throws<InvalidDataException>(() => new V1.KnownMapReply { Map = ByteString.CopyFrom(1, 2) }.ToCore());
    }

    [Fact]
    public void A_node_without_a_process_or_a_disk_is_none()
    {
        Assert.Throws<InvalidDataException>(static () => new V1.ActivityReply().ToCore());
        Assert.Throws<InvalidDataException>(static () => new V1.ShardCopyReply().ToCore());
        V1.ShardCopyReply half = new CopyReport(s_process, null, []).ToWire();
        half.Boot = ByteString.CopyFrom(1, 2, 3);
        Assert.Throws<InvalidDataException>(() => half.ToCore());
    }
}
