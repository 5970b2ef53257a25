using System.Collections.Immutable;
using Google.Protobuf;
using KvFs.Core;
using KvFs.Protocol.Wire;
using Xunit.Abstractions;

namespace KvFs.Protocol.Tests;

/// <summary>What nodes tell one another is heard as it was said, and nothing else is heard at all.</summary>
public sealed class ReplicationMessageTests(ITestOutputHelper output)
{
    private const int Rounds = 300;

    public static TheoryData<int> Seeds => [1, 2, 3];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Messages_without_contents_come_through(int seed)
    {
        output.WriteLine($"seed {seed}");
        RandomRequests random = new(seed);
        HashSet<V1.PeerMessage.KindOneofCase> seen = [];
        for (int round = 0; round < Rounds; round++)
        {
            ReplicationMessage said = Message(random);
            V1.PeerMessage sent = Sent(said.ToWire());
            seen.Add(sent.KindCase);
            Assert.Equal(Text(said), Text(sent.ToCore()));
        }

        Assert.Equal(WithoutContents, seen.Order());
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Entries_come_through_with_what_is_in_them(int seed)
    {
        output.WriteLine($"seed {seed}");
        RandomRequests random = new(seed);
        foreach (int count in Enumerable.Range(0, 20).Append(WireReplication.MaxEntries))
        {
            (AppendEntries said, List<ReadOnlyMemory<byte>> contents) = Entries(random, count);
            V1.AppendEntries heard = Sent(said.ToWire(contents)).AppendEntries;
            Assert.Equal(Text(said), Text(heard.ToCore()));
            Assert.Equal(contents.Select(Hex), heard.Entries.Select(entry => Hex(entry.Memory)));
        }
    }

    [Fact]
    public void Reigns_that_ended_are_heard_as_they_were_told_and_those_that_cannot_have_are_refused()
    {
        LogPosition at = new(new(9), new(100));
        LogRun[][] sound = [[], [default], [default, new(new(3), new(40)), new(new(8), new(99))]];
        foreach (LogRun[] told in sound)
        {
            V1.PeerMessage sent = new() { SnapshotPart = new() };
            sent.SnapshotPart.EndedBefore.AddRange(ImmutableArray.Create(told).ToWire());
            Assert.Equal(told, Sent(sent).SnapshotPart.EndedBefore.ToEndedBefore(at));
        }

        LogRun[][] unsound =
        [
            [new(new(9), new(40))], [new(new(8), new(100))], [new(new(8), new(40)), new(new(8), new(50))], [new(new(7), new(40)), new(new(8), new(40))],
            [.. Enumerable.Range(0, LogShape.MaxEnded + 1).Select(static reign => new LogRun(new((ulong)reign), new((ulong)reign)))],
        ];
        foreach (LogRun[] told in unsound)
        {
            LogPosition far = told.Length > LogShape.MaxEnded ? new(new(5_000), new(5_000)) : at;
            Assert.Throws<InvalidDataException>(() => ImmutableArray.Create(told).ToWire().ToEndedBefore(far));
        }
    }

    [Fact]
    public void Messages_with_contents_are_for_other_functions()
    {
        (AppendEntries entries, List<ReadOnlyMemory<byte>> contents) = Entries(new(1), 1);
        Assert.Throws<ArgumentException>(() => entries.ToWire());
        Assert.Throws<ArgumentException>(() => new ShardSnapshot(new(1), new(2), new(new(2), new(3)), []).ToWire());
        V1.PeerMessage[] others =
        [
            new(), new() { Hello = new() }, new() { SnapshotPart = new() }, entries.ToWire(contents),
            new() { StoreBlock = new() }, new() { BlockStored = new() },
        ];
        foreach (V1.PeerMessage other in others) { Assert.Throws<InvalidDataException>(other.ToCore); }
        Assert.Equal(
            Enum.GetValues<V1.PeerMessage.KindOneofCase>(),
            WithoutContents.Concat(others.Select(static other => other.KindCase)).Order());
    }

    [Fact]
    public void A_place_that_is_not_said_is_the_one_before_all_entries()
    {
        Assert.Equal(default, ((V1.LogPosition?)null).ToCore());
        ReplicationMessage heard = new V1.PeerMessage { ColdReport = new() { Shard = 3, Epoch = 4 } }.ToCore();
        Assert.Equal(new ColdReport(new(3), new(4), default), heard);
        Assert.Equal(default, new V1.AppendEntries().ToCore().Previous);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void An_entry_of_which_one_byte_was_changed_or_lost_is_refused(int seed)
    {
        output.WriteLine($"seed {seed}");
        RandomRequests random = new(seed);
        for (int round = 0; round < Rounds; round++)
        {
            (AppendEntries said, List<ReadOnlyMemory<byte>> contents) = Entries(random, 1 + random.Next(4));
            int which = random.Next(contents.Count);
            byte[] damaged = contents[which].ToArray();
            int at = random.Next(damaged.Length);
            switch (random.Next(3))
            {
                case 0:
                    damaged[at] ^= (byte)(1 + random.Next(255));
                    break;
                case 1:
                    damaged = damaged[..at];
                    break;
                default:
                    damaged = [.. damaged, (byte)random.Next(256)];
                    break;
            }

            contents[which] = damaged;
            V1.AppendEntries heard = Sent(said.ToWire(contents)).AppendEntries;
            InvalidDataException refusal = Assert.Throws<InvalidDataException>(heard.ToCore);
            ulong index = said.Previous.Index.Value + (ulong)which + 1;
            Assert.Contains($"entry {index} of shard {said.Shard}", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_entry_of_another_place_is_refused()
    {
        (AppendEntries said, List<ReadOnlyMemory<byte>> contents) = Entries(new(7), 3);
        V1.AppendEntries good = said.ToWire(contents).AppendEntries;
        Assert.Equal(3, good.ToCore().Entries.Length);
        V1.AppendEntries shifted = good.Clone();
        shifted.Previous.Index++;
        Assert.Throws<InvalidDataException>(shifted.ToCore);
        V1.AppendEntries swapped = good.Clone();
        (swapped.Entries[0], swapped.Entries[1]) = (swapped.Entries[1], swapped.Entries[0]);
        Assert.Throws<InvalidDataException>(swapped.ToCore);
        V1.AppendEntries otherShard = good.Clone();
        otherShard.Shard ^= 1;
        Assert.Throws<InvalidDataException>(otherShard.ToCore);
    }

    [Fact]
    public void More_than_a_message_may_have_is_refused()
    {
        (AppendEntries said, List<ReadOnlyMemory<byte>> contents) = Entries(new(8), WireReplication.MaxEntries + 1);
        Assert.Throws<InvalidDataException>(said.ToWire(contents).AppendEntries.ToCore);
        V1.AppendMismatch runs = new();
        for (uint run = 1; run <= WireReplication.MaxRuns; run++) { runs.Runs.Add(new V1.LogRun { Epoch = run, Last = run }); }
        Assert.Equal(WireReplication.MaxRuns, ((AppendMismatch)Heard(runs)).Runs.Length);
        runs.Runs.Add(new V1.LogRun { Epoch = uint.MaxValue, Last = uint.MaxValue });
        Assert.Throws<InvalidDataException>(() => Heard(runs));
        foreach (uint shard in new uint[] { ushort.MaxValue + 1, uint.MaxValue })
        {
            Assert.Throws<InvalidDataException>(() => WireReplication.ToShard(shard));
            Assert.Throws<InvalidDataException>(new V1.AppendEntries { Shard = shard }.ToCore);
            Assert.Throws<InvalidDataException>(() => Heard(new V1.AppendMismatch { Shard = shard }));
            V1.PeerMessage[] others =
            [
                new() { AppendReply = new() { Shard = shard } },
                new() { StaleReign = new() { Shard = shard } },
                new() { ColdReport = new() { Shard = shard } },
            ];
            foreach (V1.PeerMessage other in others) { Assert.Throws<InvalidDataException>(other.ToCore); }
        }
    }

    [Fact]
    public void Runs_that_do_not_rise_are_refused()
    {
        V1.LogRun first = new() { Epoch = 5, Last = 100 };
        Assert.Equal(2, ((AppendMismatch)Heard(new V1.AppendMismatch { Runs = { first, new V1.LogRun { Epoch = 6, Last = 101 } } })).Runs.Length);
        V1.LogRun[] bad = [new() { Epoch = 4, Last = 101 }, new() { Epoch = 6, Last = 99 }, new(), new() { Epoch = ulong.MaxValue }];
        foreach (V1.LogRun second in bad)
        {
            Assert.Throws<InvalidDataException>(() => Heard(new V1.AppendMismatch { Runs = { first, second } }));
        }
    }

    [Fact]
    public void The_last_numbers_that_there_are_do_not_wrap_around()
    {
        ulong highest = ulong.MaxValue - WireReplication.MaxEntries;
        Assert.Equal(highest, new V1.AppendEntries { Previous = new() { Index = highest } }.ToCore().Last.Value);
        foreach (ulong index in new[] { highest + 1, ulong.MaxValue - 1, ulong.MaxValue })
        {
            Assert.Throws<InvalidDataException>(new V1.AppendEntries { Previous = new() { Epoch = 1, Index = index } }.ToCore);
        }

        (AppendEntries last, List<ReadOnlyMemory<byte>> contents) = Entries(new(9), WireReplication.MaxEntries, highest);
        Assert.Equal(ulong.MaxValue, last.ToWire(contents).AppendEntries.ToCore().Last.Value);
        V1.LogRun run = new() { Epoch = ulong.MaxValue, Last = ulong.MaxValue };
        Assert.Equal(ulong.MaxValue, ((AppendMismatch)Heard(new V1.AppendMismatch { Runs = { run } })).Runs[0].Last.Value);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Messages_with_bytes_that_were_changed_are_refused_or_well_formed(int seed)
    {
        output.WriteLine($"seed {seed}");
        RandomRequests random = new(seed);
        int refused = 0;
        for (int round = 0; round < 4000; round++)
        {
            byte[] bytes = random.Chance()
                ? Message(random).ToWire().ToByteArray()
                : Of(Entries(random, random.Next(4))).ToByteArray();
            for (int flips = random.Next(4); flips >= 0 && bytes.Length > 0; flips--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            if (!TryHear(bytes)) { refused++; }
        }

        Assert.InRange(refused, 1, 3999);

        static V1.PeerMessage Of((AppendEntries Said, List<ReadOnlyMemory<byte>> Contents) message) => message.Said.ToWire(message.Contents);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Random_bytes_are_refused_or_well_formed(int seed)
    {
        output.WriteLine($"seed {seed}");
        RandomRequests random = new(seed);
        int refused = 0;
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes = random.Bytes(40);

            // Mostly the beginning of a message of some kind, or nothing but the outermost tag would ever be looked at.
            if (bytes.Length > 2 && round % 4 != 0) { (bytes[0], bytes[1]) = ((byte)(((1 + random.Next(11)) << 3) | 2), (byte)(bytes.Length - 2)); }
            if (!TryHear(bytes)) { refused++; }
        }

        Assert.InRange(refused, 1, 19_999);
    }

    private static IEnumerable<V1.PeerMessage.KindOneofCase> WithoutContents =>
    [
        V1.PeerMessage.KindOneofCase.Beacon,
        V1.PeerMessage.KindOneofCase.BeaconAck,
        V1.PeerMessage.KindOneofCase.VoteRequest,
        V1.PeerMessage.KindOneofCase.Vote,
        V1.PeerMessage.KindOneofCase.ColdReport,
        V1.PeerMessage.KindOneofCase.AppendReply,
        V1.PeerMessage.KindOneofCase.AppendMismatch,
        V1.PeerMessage.KindOneofCase.StaleReign,
    ];

    private static ReplicationMessage Message(RandomRequests random)
    {
        ShardId shard = new(random.Bits());
        Epoch epoch = new(random.Number());
        return random.Next(8) switch
        {
            0 => new Beacon(random.Number(), random.Number(), (DiskCondition)random.Next(3), random.Chance()),
            1 => new BeaconAck(random.Number(), random.Number()),
            2 => new VoteRequest(new(random.Small())),
            3 => new Vote(new(random.Small()), random.Chance()),
            4 => new ColdReport(shard, epoch, new(new(random.Number()), new(random.Number()))),
            5 => new AppendReply(shard, epoch, new(random.Number()), new(random.Number())),
            6 => new AppendMismatch(shard, epoch, Runs(random), random.Chance()),
            _ => new StaleReign(shard, epoch),
        };
    }

    private static ImmutableArray<LogRun> Runs(RandomRequests random)
    {
        ulong epoch = (ulong)random.Next(9);
        ulong last = (ulong)random.Next(9);
        List<LogRun> runs = [];
        for (int count = random.Next(6); count > 0; count--)
        {
            runs.Add(new(new(epoch), new(last)));
            epoch += 1 + (ulong)random.Next(1 << 30);
            last += 1 + (ulong)random.Next(1 << 30);
        }

        return [.. runs];
    }

    /// <summary>Entries as a primary makes them, and what is in each.</summary>
    private static (AppendEntries Said, List<ReadOnlyMemory<byte>> Contents) Entries(RandomRequests random, int count, ulong? previous = null)
    {
        ShardId shard = new(random.Bits());
        LogIndex before = new(previous ?? random.Number() >> 1);
        LogIndex index = before;
        List<Epoch> epochs = [];
        List<ReadOnlyMemory<byte>> contents = [];
        byte[] key = new byte[LogEntry.KeyBytes];
        for (int at = 0; at < count; at++)
        {
            index = index.Next;
            ByteBuffer value = new();
            LogEntry.WriteKey(shard, index, key);
            epochs.Add(new(random.Number()));
            LogEntry.WriteValue(key, epochs[^1], random.Drive, random.Bytes(), value);
            contents.Add(value.Span.ToArray());
        }

        AppendEntries said = new(
            shard, new(random.Number()), new(new(random.Number()), before), [.. epochs], new(random.Number()), new(random.Number()));
        return (said, contents);
    }

    private static ReplicationMessage Heard(V1.AppendMismatch message) => new V1.PeerMessage { AppendMismatch = message }.ToCore();

    /// <summary>Hears bytes as a node does: false, if they are refused; if not, the message can be said again.</summary>
    private static bool TryHear(byte[] bytes)
    {
        try
        {
            V1.PeerMessage heard = V1.PeerMessage.Parser.ParseFrom(bytes);
            if (heard.AppendEntries is { } entries)
            {
                AppendEntries told = entries.ToCore();
                V1.PeerMessage again = told.ToWire(entries.Entries.Select(static entry => entry.Memory));
                Assert.Equal(Text(told), Text(Sent(again).AppendEntries.ToCore()));
            }
            else
            {
                ReplicationMessage told = heard.ToCore();
                Assert.Equal(Text(told), Text(Sent(told.ToWire()).ToCore()));
            }

            return true;
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidDataException)
        {
            return false;
        }
    }

    private static V1.PeerMessage Sent(V1.PeerMessage message) => V1.PeerMessage.Parser.ParseFrom(message.ToByteArray());

    private static string Hex(ReadOnlyMemory<byte> bytes) => Convert.ToHexString(bytes.Span);

    /// <summary>Everything that it says: arrays have no equality.</summary>
    private static string Text(ReplicationMessage message) => message switch
    {
        AppendEntries entries => $"{entries with { Entries = [] }} {string.Join(',', entries.Entries)}",
        AppendMismatch mismatch => $"{mismatch with { Runs = [] }} {string.Join(',', mismatch.Runs)}",
        _ => message.ToString(),
    };
}
