using Google.Protobuf;
using KvFs.Core;
using KvFs.Protocol.Wire;

namespace KvFs.Protocol.Tests;

/// <summary>Bytes that nobody of ours sent: they are refused as what they are, and nothing else happens.</summary>
public sealed class HostileMessageTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Messages_with_bytes_that_were_changed_are_refused_or_are_messages(int seed)
    {
        RandomRequests random = new(seed);
        int refused = 0;
        for (int round = 0; round < 4000; round++)
        {
            TransactRequest request = new(
                [.. Enumerable.Range(0, random.Next(3)).Select(_ => random.Precondition())],
                [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.Operation())]);
            byte[] bytes = request.ToWire(random.Drive).ToByteArray();
            for (int flips = random.Next(4); flips >= 0 && bytes.Length > 0; flips--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            if (!TryHear(() => V1.Transact.Parser.ParseFrom(bytes).ToCore(random.Drive))) { refused++; }
        }

        Assert.InRange(refused, 1, 3999);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void Random_bytes_are_refused_or_are_messages(int seed)
    {
        RandomRequests random = new(seed);
        int refused = 0;
        for (int round = 0; round < 4000; round++)
        {
            byte[] bytes = random.Bytes(64);
            if (!TryHear(() => V1.Cluster.Parser.ParseFrom(bytes).ToCore())) { refused++; }
            if (!TryHear(() => V1.Node.Parser.ParseFrom(bytes).ToCore())) { refused++; }
            if (!TryHear(() => V1.DriveInfo.Parser.ParseFrom(bytes).ToCore())) { refused++; }
            if (!TryHear(() => V1.FileCommit.Parser.ParseFrom(bytes).ToCore(random.Drive))) { refused++; }
            if (!TryHear(() => V1.FileLock.Parser.ParseFrom(bytes).ToCore())) { refused++; }
        }

        Assert.InRange(refused, 1, 19_999);
    }

    [Fact]
    public void Runs_that_no_cluster_can_have_are_refused()
    {
        V1.ClusterRun good = new() { Offset = 10, Length = 10, Kind = V1.RunKind.Unwritten };
        Assert.Single(new V1.Cluster { Runs = { good } }.ToCore().Runs);
        V1.ClusterRun[] bad =
        [
            new(good) { Length = 0 },
            new(good) { Length = Limits.ClusterBytes },
            new(good) { Offset = uint.MaxValue, Length = uint.MaxValue },
            new(good) { Kind = V1.RunKind.Hole },
            new(good) { Kind = V1.RunKind.Unspecified },
            new(good) { Kind = (V1.RunKind)5 },
            new(good) { Kind = (V1.RunKind)260 },
            new(good) { Kind = V1.RunKind.Inline },
            new(good) { Kind = V1.RunKind.Inline, SourceOffset = uint.MaxValue },
            new(good) { Kind = V1.RunKind.Block, Owner = 1 },
            new(good) { Kind = V1.RunKind.Block, SourceOffset = Limits.BlockBytes },
        ];
        foreach (V1.ClusterRun run in bad)
        {
            V1.Cluster cluster = new() { Runs = { run }, Owners = { new DriveId(1).ToWire() }, Inline = ByteString.CopyFrom(1, 2, 3) };
            Assert.Throws<InvalidDataException>(cluster.ToCore);
        }

        Assert.Throws<InvalidDataException>(new V1.Cluster { Runs = { good, good } }.ToCore);
        Assert.Throws<InvalidDataException>(new V1.Cluster { DeltaCount = uint.MaxValue }.ToCore);
        Assert.Throws<InvalidDataException>(new V1.Cluster { Owners = { ByteString.CopyFrom(1) } }.ToCore);
    }

    [Fact]
    public void Operations_of_a_newer_version_are_told_from_broken_ones()
    {
        Assert.Null(new V1.Transact { Operations = { new V1.TransactOperation() } }.ToCore(default));
        Assert.Null(new V1.Transact { Preconditions = { new V1.Precondition() } }.ToCore(default));
        V1.Transact broken = new() { Operations = { new V1.TransactOperation { Create = new() { Mode = 70_000 } } } };
        Assert.Throws<InvalidDataException>(() => broken.ToCore(default));
        V1.Transact unknownMode = new() { Operations = { new V1.TransactOperation { SetXattr = new() { Mode = 3 } } } };
        Assert.Throws<InvalidDataException>(() => unknownMode.ToCore(default));
    }

    private static bool TryHear<T>(Func<T> hear)
    {
        try
        {
            hear();
            return true;
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidDataException)
        {
            return false;
        }
    }
}
