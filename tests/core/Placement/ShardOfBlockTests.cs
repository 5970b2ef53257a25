using System.Globalization;
using System.Text;

namespace KvFs.Core.Tests;

public sealed class ShardOfBlockTests
{
    private static readonly DriveId Drive = Parse("01890a5d-ac96-774b-bcce-b302099a8057");

    [Fact]
    public void The_published_vectors_hold()
    {
        StringBuilder vectors = new();
        foreach (string text in (string[])["00000000-0000-0000-0000-000000000000", "01890a5d-ac96-774b-bcce-b302099a8057"])
        {
            DriveId drive = Parse(text);
            vectors.Append(CultureInfo.InvariantCulture, $"{text} home {HomeShard.Of(drive, 64)}\n");
            foreach (ulong block in (ulong[])[0, 1, 2, 1_000_000, ulong.MaxValue])
            {
                BlockName name = new(drive, new(block));
                vectors.Append(
                    CultureInfo.InvariantCulture,
                    $"{name} at 100% {ShardOfBlock.Of(name, 100, 64)} at 10% {ShardOfBlock.Of(name, 10, 64)}\n");
            }
        }

        Golden.Check("shard-of-block-v1.txt", Encoding.UTF8.GetBytes(vectors.ToString()));
    }

    [Theory]
    [InlineData(100, 64, 64)]
    [InlineData(50, 64, 32)]
    [InlineData(10, 64, 7)]
    [InlineData(1, 64, 1)]
    [InlineData(1, 1, 1)]
    [InlineData(100, 1, 1)]
    [InlineData(34, 3, 2)]
    [InlineData(25, 4096, 1024)]
    public void Blocks_lie_evenly_on_as_many_shards_as_the_spread_says_the_home_shard_among_them(
        int spread, int shards, int expected)
    {
        Dictionary<ShardId, int> counts = [];
        int blocks = expected * 400;
        for (int block = 0; block < blocks; block++)
        {
            ShardId shard = ShardOfBlock.Of(new(Drive, new((ulong)block)), spread, shards);
            Assert.InRange(shard.Value, 0, shards - 1);
            counts[shard] = counts.GetValueOrDefault(shard) + 1;
        }

        Assert.Equal(expected, ShardOfBlock.ShardsUsed(spread, shards));
        Assert.Equal(expected, counts.Count);
        Assert.Contains(HomeShard.Of(Drive, shards), counts.Keys);
        Assert.All(counts.Values, count => Assert.InRange(count, 250, 550));
    }

    [Fact]
    public void Without_a_spread_all_blocks_lie_on_the_home_shard()
    {
        ShardId home = HomeShard.Of(Drive, 64);
        for (ulong block = 1; block < 100; block++) { Assert.Equal(home, ShardOfBlock.Of(new(Drive, new(block)), ShardOfBlock.DefaultSpread, 64)); }
        Assert.Equal([home], ShardOfBlock.ShardsOf(Drive, ShardOfBlock.DefaultSpread, 64));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(100)]
    public void The_shards_of_a_drive_are_those_that_its_blocks_lie_on(int spread)
    {
        HashSet<ShardId> used = [];
        for (ulong block = 1; block < 4000; block++) { used.Add(ShardOfBlock.Of(new(Drive, new(block)), spread, 64)); }
        Assert.True(used.SetEquals(ShardOfBlock.ShardsOf(Drive, spread, 64)));
    }

    [Fact]
    public void Small_spreads_of_many_drives_use_all_shards()
    {
        HashSet<ShardId> used = [];
        for (int drive = 0; drive < 2000; drive++)
        {
            used.Add(ShardOfBlock.Of(new(new((UInt128)drive << 64), new(1)), 2, 64));
        }

        Assert.Equal(64, used.Count);
    }

    private static DriveId Parse(string text)
    {
        Assert.True(DriveId.TryParse(text, out DriveId id));
        return id;
    }
}
