namespace KvFs.Core.Tests;

public sealed class DecoderFuzzTests
{
    private const int Rounds = 20_000;

    [Fact]
    public void No_decoder_throws_at_random_bytes()
    {
        Random random = new(20_260_101);
        byte[] bytes = new byte[300];
        for (int round = 0; round < Rounds; round++)
        {
            Span<byte> some = bytes.AsSpan(0, random.Next(bytes.Length));
            random.NextBytes(some);
            if (some.Length > 0 && random.Next(2) == 0) { some[0] = (byte)random.Next(8); }
            DecodeAll(some, some);
        }
    }

    [Fact]
    public void No_decoder_throws_at_records_of_which_some_bytes_are_wrong_or_missing()
    {
        Random random = new(20_260_102);
        for (int round = 0; round < Rounds; round++)
        {
            RecordSample sample = RecordSamples.All[random.Next(RecordSamples.All.Count)];
            DecodeAll(Damage(sample.Key, random), Damage(sample.Payload, random));
        }
    }

    [Fact]
    public void An_envelope_with_any_wrong_bit_is_refused()
    {
        ByteBuffer value = new();
        RecordEnvelope.Write(RecordSamples.Written, whiteout: false, "payload"u8, value);
        for (int bit = 0; bit < value.Length * 8; bit++)
        {
            byte[] damaged = value.Span.ToArray();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Equal(Status.Corrupt, RecordEnvelope.Read(damaged, out _, out _));
        }
    }

    [Fact]
    public void An_envelope_of_a_newer_version_is_refused_and_not_taken_for_damage()
    {
        ByteBuffer value = new();
        RecordEnvelope.Write(RecordSamples.Written, whiteout: false, "payload"u8, value);
        byte[] newer = value.Span.ToArray();
        newer[0]++;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(newer.AsSpan(^4..), Crc32C.Compute(newer.AsSpan(..^4)));
        Assert.Equal(Status.NotSupported, RecordEnvelope.Read(newer, out _, out _));
    }

    [Fact]
    public void A_cluster_with_damaged_records_is_corrupt_and_no_bug()
    {
        Random random = new(20_260_103);
        for (int round = 0; round < Rounds; round++)
        {
            ClusterMap map = new();
            ClusterCoverage coverage = new();
            for (int record = 0; record < 4; record++)
            {
                RecordSample sample = RecordSamples.All[random.Next(RecordSamples.All.Count)];
                byte[] payload = random.Next(3) == 0 ? Damage(sample.Payload, random) : sample.Payload;
                if (map.TryAdd(payload) && Slice.TryDecode(payload, out Slice slice, out _)) { coverage.LayDelta(slice); }
            }

            ulong mapped = map.Runs.Aggregate(0UL, (sum, run) => sum + run.Length);
            Assert.Equal(mapped, map.MappedBytes);
        }
    }

    private static byte[] Damage(byte[] bytes, Random random)
    {
        byte[] damaged = bytes[..random.Next(bytes.Length + 1)];
        if (random.Next(2) == 0) { damaged = [.. bytes, .. damaged]; }
        for (int changes = random.Next(4); changes > 0 && damaged.Length > 0; changes--)
        {
            damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
        }

        return damaged;
    }

    private static void DecodeAll(ReadOnlySpan<byte> key, ReadOnlySpan<byte> payload)
    {
        VNode.TryDecode(payload, out _);
        Dentry.TryDecode(payload, out _);
        Slice.TryDecode(payload, out _, out _);
        ClusterBase.TryDecode(payload, []);
        new ClusterMap().TryAdd(payload);
        DrivePolicy.TryDecode(payload, out _);
        DriveCounters.TryDecodeUsage(payload, out _);
        IdMarks.TryDecode(payload, out _);
        RetainedVersion.TryDecode(payload, out _);
        ReaperPosition.TryDecode(payload, out _);
        BlockUse.TryDecode(payload, out _);
        DeadBlocks.TryDecode(payload, out _);
        BlockGrant.TryDecode(payload, out _);
        DataCut.TryDecode(payload, out _);
        SessionRecord.TryDecode(payload, out _);
        RequestLedger.TryDecode(payload, out _, out _, out _);
        LockRecords.TryDecode(key, payload, out _);
        RecordEnvelope.Read(payload, out _, out _);
        LogEntry.ReadValue(key, payload, out _, out _, out _);
        RecordKey.TrySplitDentry(key, out _, out _, out _);
        RecordKey.TrySplitHistory(key, out _, out _);
        RecordKey.TrySplitLink(key, out _, out _);
        RecordKey.TrySplitNumbers(key, out _, out _);
        RecordKey.TrySplitSlice(key, out _);
        RecordKey.TrySplitXattr(key, out _, out _);
        RecordKey.TryReadFirstNumber(key, out _);
        ReadOnlySpan<byte> rest = payload;
        while (RecordBatch.TryReadNext(ref rest, out _, out _, out _)) { }
    }
}
