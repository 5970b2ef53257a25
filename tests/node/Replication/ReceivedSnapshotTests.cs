using Google.Protobuf;
using KvFs.Core;
using KvFs.Node.Replication;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Tests.Replication;

/// <summary>Parts of a snapshot that come in order, and parts that do not.</summary>
public sealed class ReceivedSnapshotTests : IDisposable
{
    private readonly ReceivedSnapshot snapshot = new(Path.GetTempPath(), new(new(3), new(5), new(new(4), new(100)), []));

    public void Dispose() => snapshot.Dispose();

    [Fact]
    public void Parts_in_order_come_back_as_they_were_however_often_they_are_read()
    {
        byte[][] parts = [[1, 2, 3], [], new byte[3 << 20], [.. Enumerable.Range(0, 1000).Select(static at => (byte)at)]];
        for (uint number = 0; number < parts.Length; number++) { Assert.True(snapshot.TryAdd(Part(number, parts[number]))); }
        Assert.Equal(new(new(3), new(5), new(new(4), new(100)), []), snapshot.Message);
        Assert.Equal(parts, snapshot.Parts().Select(static part => part.ToArray()));
        Assert.Equal(parts, snapshot.Parts().Select(static part => part.ToArray()));
    }

    [Fact]
    public void A_part_that_is_not_the_next_one_is_left_out()
    {
        Assert.False(snapshot.TryAdd(Part(1, [1])));
        Assert.True(snapshot.TryAdd(Part(0, [2])));
        Assert.False(snapshot.TryAdd(Part(0, [3])));
        Assert.False(snapshot.TryAdd(Part(2, [4])));
        Assert.False(snapshot.TryAdd(Part(uint.MaxValue, [5])));
        Assert.True(snapshot.TryAdd(Part(1, [6])));
        Assert.Equal([[2], [6]], snapshot.Parts().Select(static part => part.ToArray()));
    }

    [Fact]
    public void A_damaged_part_is_told_and_not_kept()
    {
        Assert.True(snapshot.TryAdd(Part(0, [1, 2, 3])));
        V1.SnapshotPart damaged = Part(1, [4, 5, 6]);
        damaged.Records = ByteString.CopyFrom(4, 5, 7);
        Assert.Contains("part 1", Assert.Throws<InvalidDataException>(() => snapshot.TryAdd(damaged)).Message, StringComparison.Ordinal);
        V1.SnapshotPart cut = Part(1, [4, 5, 6]);
        cut.Records = ByteString.CopyFrom(4, 5);
        Assert.Throws<InvalidDataException>(() => snapshot.TryAdd(cut));
        V1.SnapshotPart wrong = Part(1, [4, 5, 6]);
        wrong.Crc32C ^= 1u << 31;
        Assert.Throws<InvalidDataException>(() => snapshot.TryAdd(wrong));
        Assert.True(snapshot.TryAdd(Part(1, [4, 5, 6])));
        Assert.Equal([[1, 2, 3], [4, 5, 6]], snapshot.Parts().Select(static part => part.ToArray()));
    }

    [Fact]
    public void A_snapshot_without_parts_has_none() => Assert.Empty(snapshot.Parts());

    private static V1.SnapshotPart Part(uint number, byte[] records) => new()
    {
        Shard = 3,
        Epoch = 5,
        At = new() { Epoch = 4, Index = 100 },
        Number = number,
        Records = ByteString.CopyFrom(records),
        Crc32C = Crc32C.Compute(records),
    };
}
