using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Core.Tests;

public sealed class PoolMapCodecTests
{
    /// <summary>Fields of one line each, in the golden file's own bytes.</summary>
    private static readonly PoolMap Sample = MakeSample();

    [Fact]
    public void A_map_has_the_bytes_that_it_always_had() => Golden.Check("pool-map-v1.json", PoolMapCodec.Encode(Sample));

    [Fact]
    public void A_map_with_a_loss_on_record_has_the_bytes_that_it_always_had()
    {
        ShardEntry entry = Sample[new(0)];
        ShardLoss loss = new(entry.Epoch, new(new(entry.Epoch.Value - 1), new(401)), [new(1), new(2)], 1_700_000_000_000, "root@here", "two disks broke");
        Golden.Check("pool-map-v2.json", PoolMapCodec.Encode(Pools.With(Sample, new(0), entry with { Loss = loss })));
    }

    [Fact]
    public void Any_map_is_read_as_it_was_written_and_written_alike() => Prop.ForAll<int>(static seed =>
    {
        PoolMap map = Pools.Draw(new(seed));
        byte[] text = PoolMapCodec.Encode(map);
        Assert.Equal(Status.Ok, PoolMapCodec.TryDecode(text, out PoolMap? read, out string reason));
        Assert.Empty(reason);
        Assert.Equal(map.Nodes.AsEnumerable(), read!.Nodes);
        Assert.Equal(map.Shards.AsEnumerable(), read.Shards);
        Assert.Equal(
            (map.Pool, map.Revision, map.Settings, map.NextNode), (read.Pool, read.Revision, read.Settings, read.NextNode));
        Assert.Equal(text, PoolMapCodec.Encode(read));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Keys_are_sorted_at_every_level()
    {
        using System.Text.Json.JsonDocument document = System.Text.Json.JsonDocument.Parse(PoolMapCodec.Encode(Sample));
        CheckSorted(document.RootElement);
    }

    [Theory]
    [InlineData("\"format\":1", "\"format\":3", Status.NotSupported, "format 3")]
    [InlineData("\"format\":1", "\"format\":2", Status.Corrupt, "no field loss")]
    [InlineData("\"format\":1", "\"format\":\"1\"", Status.Corrupt, "format")]
    [InlineData("\"format\":1,", "", Status.Corrupt, "format")]
    [InlineData("\"minInSync\":2", "\"minInSync\":2,\"more\":1", Status.Corrupt, "more")]
    [InlineData("\"minInSync\":2", "\"minInSync\":2,\"minInSync\":2", Status.Corrupt, "minInSync")]
    [InlineData("\"minInSync\":2", "\"minInSync\":4", Status.Corrupt, "minInSync 4")]
    [InlineData("\"minInSync\":2", "\"minInSync\":2.5", Status.Corrupt, "minInSync")]
    [InlineData("\"minInSync\":2", "\"minInSync\":99999999999999999999", Status.Corrupt, "minInSync")]
    [InlineData("\"learners\":[4]", "\"learners\":4", Status.Corrupt, "learners")]
    [InlineData("\"learners\":[4]", "\"learners\":[1]", Status.Corrupt, "learner 1")]
    [InlineData("\"primary\":2", "\"primary\":4", Status.Corrupt, "primary")]
    [InlineData("\"state\":\"gone\"", "\"state\":\"away\"", Status.Corrupt, "state")]
    [InlineData("\"weight\":250", "\"weight\":1001", Status.Corrupt, "weight")]
    [InlineData("\"name\":\"delta\"", "\"name\":\"del ta\"", Status.Corrupt, "name")]
    [InlineData("\"name\":\"delta\"", "\"name\":\"del\\u0074a\"", Status.Corrupt, "byte")]
    [InlineData("\"name\":\"delta\"", "\"name\":null", Status.Corrupt, "name")]
    [InlineData("\"enough\":2", "\"enough\":0", Status.Corrupt, "enough")]
    [InlineData("\"signedOver\":true", "\"signedOver\":1", Status.Corrupt, "signedOver")]
    [InlineData("\"epoch\":9", "\"epoch\":9007199254740992", Status.Corrupt, "epoch")]
    [InlineData("\"pool\":\"0", "\"pool\":\"G", Status.Corrupt, "pool")]
    [InlineData("\"pool\":\"0", "\"pool\":\"", Status.Corrupt, "pool")]
    [InlineData("}]}", "}]", Status.Corrupt, "JSON")]
    [InlineData("}]}", "}]}{}", Status.Corrupt, "JSON")]
    public void Text_that_is_not_exactly_known_is_refused_with_the_reason(
        string find, string put, Status expected, string word)
    {
        string text = Encoding.ASCII.GetString(PoolMapCodec.Encode(Sample));
        int at = find == "}]}" ? text.LastIndexOf(find, StringComparison.Ordinal) : text.IndexOf(find, StringComparison.Ordinal);
        Assert.True(at >= 0);
        byte[] changed = Encoding.ASCII.GetBytes(text[..at] + put + text[(at + find.Length)..]);
        Assert.Equal(expected, PoolMapCodec.TryDecode(changed, out PoolMap? map, out string reason));
        Assert.Null(map);
        Assert.Contains(word, reason, StringComparison.Ordinal);
    }

    [Fact]
    public void White_space_and_another_order_of_keys_change_nothing()
    {
        string text = Encoding.ASCII.GetString(PoolMapCodec.Encode(Sample));
        string moved = text.Replace("{\"format\":1,", "{\n ", StringComparison.Ordinal)[..^1] + ",\r\n\t\"format\": 1 }\n";
        Assert.Equal(Status.Ok, PoolMapCodec.TryDecode(Encoding.ASCII.GetBytes(moved), out PoolMap? map, out _));
        Assert.Equal(text, Encoding.ASCII.GetString(PoolMapCodec.Encode(map!)));
    }

    [Fact]
    public void Text_beyond_the_bound_is_not_even_parsed()
    {
        byte[] spaces = new byte[PoolLimits.MapBytes + 1];
        Array.Fill(spaces, (byte)' ');
        Assert.Equal(Status.TooLarge, PoolMapCodec.TryDecode(spaces, out _, out string reason));
        Assert.Contains("bytes", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_map_of_the_largest_size_stays_within_the_bound()
    {
        PoolMap map = Pools.Found(PoolLimits.Nodes, shards: PoolLimits.Shards);
        byte[] text = PoolMapCodec.Encode(map);
        Assert.InRange(text.Length, 1 << 20, PoolLimits.MapBytes);
        Assert.Equal(Status.Ok, PoolMapCodec.TryDecode(text, out _, out _));
    }

    [Fact]
    public void Nested_lists_of_any_depth_are_refused()
    {
        string deep = string.Concat(Enumerable.Repeat("{\"nodes\":[", 5000));
        Assert.Equal(Status.Corrupt, PoolMapCodec.TryDecode(Encoding.ASCII.GetBytes(deep), out _, out _));
    }

    [Fact]
    public void No_text_makes_the_reader_throw_and_what_it_takes_is_valid()
    {
        Random random = new(20_261_128);
        byte[] sample = PoolMapCodec.Encode(Sample);
        byte[][] words =
        [
            .. ((string[])["\"", "{", "}", "[", "]", ",", ":", "null", "-1", "1e9", "0", "\"nodes\"", "\"up\"", "18446744073709551616",
                "\\u0000", "\\ud800", "\u00e9", "true", "[[[[[[[[[[", " "]).Select(static word => Encoding.UTF8.GetBytes(word)),
            [0xFF], [0x00],
        ];
        int taken = 0;
        for (int round = 0; round < 30_000; round++)
        {
            List<byte> text = [.. sample];
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                int at = random.Next(text.Count);
                switch (random.Next(4))
                {
                    case 0:
                        text.RemoveRange(at, Math.Min(random.Next(1, 40), text.Count - at));
                        break;
                    case 1:
                        text.InsertRange(at, words[random.Next(words.Length)]);
                        break;
                    case 2:
                        text[at] = (byte)random.Next(256);
                        break;
                    default:
                        text[at] = (byte)('0' + random.Next(10));
                        break;
                }

                if (text.Count == 0) { break; }
            }

            Status status = PoolMapCodec.TryDecode(text.ToArray(), out PoolMap? map, out string reason);
            Assert.Equal(status == Status.Ok, map is not null);
            Assert.Equal(status == Status.Ok, reason.Length == 0);
            if (map is null) { continue; }
            taken++;
            Assert.Equal(Status.Ok, PoolMapCodec.TryDecode(PoolMapCodec.Encode(map), out _, out _));
        }

        Assert.InRange(taken, 1, 29_000);
    }

    private static PoolMap MakeSample()
    {
        bool made = PoolMap.TryCreate(
            new(0x0123_4567_89AB_CDEF),
            42,
            new(3, 2),
            new(6),
            [
                new(new(1), "alpha", "alpha", ["10.0.0.1:7400", "[fd00::1]:7400"], "east", 100, NodeState.Up, new(0xA1)),
                new(new(2), "beta", "beta", ["beta.pool.svc:7400"], "", 250, NodeState.Draining, new(0xB2)),
                new(new(3), "gamma", "gamma", ["10.0.0.3:7400"], "west", 100, NodeState.Gone, new(0xC3)),
                new(new(4), "delta", "gamma", ["unix:/run/kvfs/delta"], "west", 1, NodeState.Up, new(0xD4)),
            ],
            [
                new(new(9), new(2), [new(new(1), new(0xA1), new(0x11)), new(new(2), new(0xB2), new(0x22))], [new(4)], 2),
                new(new(1), new(4), [new(new(4), new(0xD4), new(UInt128.MaxValue))], [], 1, true),
            ],
            out PoolMap? map,
            out string reason);
        Assert.True(made, reason);
        return map!;
    }

    private static void CheckSorted(System.Text.Json.JsonElement element)
    {
        if (element.ValueKind == System.Text.Json.JsonValueKind.Array)
        {
            foreach (System.Text.Json.JsonElement item in element.EnumerateArray()) { CheckSorted(item); }
        }

        if (element.ValueKind != System.Text.Json.JsonValueKind.Object) { return; }
        string[] names = [.. element.EnumerateObject().Select(static property => property.Name)];
        Assert.Equal(names.Order(StringComparer.Ordinal), names);
        foreach (System.Text.Json.JsonProperty property in element.EnumerateObject()) { CheckSorted(property.Value); }
    }
}
