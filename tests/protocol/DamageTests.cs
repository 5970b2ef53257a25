using KvFs.Core;
using KvFs.Protocol.BlockChannel;
using KvFs.Protocol.Tests.Support;

namespace KvFs.Protocol.Tests;

/// <summary>A proxy changes one bit, or cuts the connection, anywhere in either stream: no wrong byte is ever stored or read, and
/// every request ends.</summary>
public sealed class DamageTests
{
    private const int Rounds = 250;

    /// <summary>What passes behind the last answer, the goodbyes, is nobody's answer.</summary>
    private const int GoodbyeBytes = 200;

    /// <summary>What an outcome other than Ok may be: the connection ended, or the damage was told.</summary>
    private static readonly Status[] Noticed = [Status.Corrupt, Status.Unavailable, Status.Unknown];

    /// <summary>A hello whose length is damaged is waited for so long, by either side.</summary>
    private static readonly TimeSpan HelloTime = TimeSpan.FromSeconds(5);

    private static readonly byte[] Stored = Samples.Bytes(300_001, 1);
    private static readonly byte[] Large = Samples.Bytes(700_000, 2);
    private static readonly byte[] Small = Samples.Bytes(3000, 3);

    [Fact]
    public Task A_changed_bit_anywhere_is_noticed() => Seeds.RunAsync(random => RunAsync(random, isCut: false));

    [Fact]
    public Task A_connection_that_is_cut_anywhere_ends_every_request() => Seeds.RunAsync(random => RunAsync(random, isCut: true));

    private static async Task RunAsync(Random random, bool isCut)
    {
        await using ChannelWorld world = new(change: options => options with { HandshakeTime = HelloTime });
        world.Blocks.Put(Samples.Name(1), Stored);
        (long toServer, long toClient) = await MeasureAsync(world);
        for (int round = 0; round < Rounds; round++)
        {
            bool towardsServer = random.Next(2) == 0;
            using Proxy proxy = new(world.Port)
            {
                At = Place(random, towardsServer ? toServer : toClient),
                Mask = isCut ? (byte)0 : (byte)(1 << random.Next(8)),
                TowardsServer = towardsServer,
            };
            string place = $"byte {proxy.At} towards the {(towardsServer ? "server" : "client")}, mask {proxy.Mask}";
            Status[] outcomes = await ConverseAsync(world, proxy, (ulong)(1000 + (round * 10)));
            long passed = towardsServer ? proxy.Passed.ToServer : proxy.Passed.ToClient;
            Assert.True(!proxy.WasReached || outcomes.Any(Noticed.Contains) || proxy.At >= passed - GoodbyeBytes, place);
            Assert.All(outcomes, outcome => Assert.True(outcome == Status.Ok || Noticed.Contains(outcome), $"{outcome}: {place}"));
        }
    }

    /// <summary>Heads, which are few, as often as payloads.</summary>
    private static long Place(Random random, long length) => random.Next(3) switch
    {
        0 => random.Next(200),
        1 => length - 1 - random.Next(400),
        _ => random.NextInt64(length),
    };

    private static async Task<(long ToServer, long ToClient)> MeasureAsync(ChannelWorld world)
    {
        using Proxy proxy = new(world.Port) { At = long.MaxValue, Mask = 1 };
        Assert.All(await ConverseAsync(world, proxy, 500), outcome => Assert.Equal(Status.Ok, outcome));
        return proxy.Passed;
    }

    /// <summary>Hellos, three writes and three reads; answers how they ended. What was Ok is compared.</summary>
    private static async Task<Status[]> ConverseAsync(ChannelWorld world, Proxy proxy, ulong id)
    {
        Task passing = proxy.RunAsync();
        ConnectOutcome outcome = await BlockChannelClient.ConnectAsync(
            BlockChannelTarget.TcpPlainText("127.0.0.1", proxy.Port),
            ChannelWorld.ClientOptions with { ConnectTime = HelloTime },
            CancellationToken.None);
        Status[] statuses = outcome.Client is null
            ? [Status.Unavailable]
            : await AskAsync(world, outcome.Client, id);
        if (outcome.Client is not null) { await outcome.Client.DisposeAsync(); }
        await passing;
        return statuses;
    }

    private static async Task<Status[]> AskAsync(ChannelWorld world, BlockChannelClient client, ulong id)
    {
        List<Status> statuses = [];
        (ulong Id, byte[] Content)[] writes = [(id, Large), (id + 1, Small), (id + 2, Large)];
        Task<BlockAnswer>[] writing = [.. writes.Select(write => client.WriteAsync(write.Id, write.Content).AsTask())];
        (int Offset, byte[] Read)[] reads = [(0, new byte[Stored.Length]), (70_001, new byte[9000]), (99, new byte[200_000])];
        Task<BlockAnswer>[] reading = [.. reads.Select(read => client.ReadAsync(1, (uint)read.Offset, read.Read).AsTask())];
        for (int at = 0; at < writes.Length; at++)
        {
            statuses.Add((await writing[at]).Status);
            byte[]? stored = world.Blocks.Find(Samples.Name(writes[at].Id));
            Assert.True(stored is not null || statuses[^1] != Status.Ok);
            Assert.True(stored is null || stored.AsSpan().SequenceEqual(writes[at].Content));
        }

        for (int at = 0; at < reads.Length; at++)
        {
            statuses.Add((await reading[at]).Status);
            if (statuses[^1] != Status.Ok) { continue; }
            Assert.True(Stored.AsSpan(reads[at].Offset, reads[at].Read.Length).SequenceEqual(reads[at].Read));
        }

        return [.. statuses];
    }
}
