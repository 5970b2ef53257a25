namespace KvFs.Core.Tests.Records;

/// <summary>Garbage on every parser of a payload: an answer, never an exception; and what is taken is written the same.
/// </summary>
public sealed class RecordParserTests
{
    private static readonly Func<byte[], bool>[] Parsers =
    [
        bytes => VNode.TryDecode(bytes, out _),
        bytes => Dentry.TryDecode(bytes, out _),
        bytes => DrivePolicy.TryDecode(bytes, out _),
        bytes => DriveCounters.TryDecodeUsage(bytes, out _),
        bytes => IdMarks.TryDecode(bytes, out _),
        bytes => RetainedVersion.TryDecode(bytes, out _),
        bytes => ReaperPosition.TryDecode(bytes, out _),
        bytes => Slice.TryDecode(bytes, out _, out _),
        bytes => ClusterBase.TryDecode(bytes, []),
        bytes => BlockUse.TryDecode(bytes, out _),
        bytes => DeadBlocks.TryDecode(bytes, out _),
        bytes => BlockGrant.TryDecode(bytes, out _),
        bytes => DataCut.TryDecode(bytes, out _),
        bytes => PosixAcl.Validate(bytes) == Status.Ok,
        bytes => RecordEnvelope.Read(bytes, out _, out _) == Status.Ok,
        bytes => RecordKey.TrySplitDentry(bytes, out _, out _, out _),
        bytes => RecordKey.TrySplitLink(bytes, out _, out _),
        bytes => RecordKey.TrySplitXattr(bytes, out _, out _),
        bytes => RecordKey.TrySplitHistory(bytes, out _, out _),
        bytes => RecordKey.TrySplitSlice(bytes, out _),
        bytes => RecordKey.TrySplitNumbers(bytes, out _, out _),
    ];

    [Fact]
    public void Random_bytes_are_answered_never_thrown_at()
    {
        Random random = new(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = new byte[random.Next(120)];
            random.NextBytes(bytes);
            if (random.Next(2) == 0) { bytes.AsSpan(Math.Min(bytes.Length, random.Next(10))).Clear(); }
            foreach (Func<byte[], bool> parser in Parsers) { parser(bytes); }
        }
    }

    [Fact]
    public void Each_bit_of_a_valid_payload_may_be_wrong()
    {
        byte[] policy = Encode(new DrivePolicy(
            "name", DriveKind.FileSystem, DriveFlags.Hidden, 1, 2, new(3), [new(new(4), new(5)), new(new(6), new(7))]));
        byte[] version = new byte[RetainedVersion.PayloadBytes];
        new RetainedVersion(new(1), new(2), 3, 4).Encode(version);
        foreach (byte[] valid in new[] { policy, version })
        {
            for (int bit = 0; bit < valid.Length * 8; bit++)
            {
                byte[] flipped = [.. valid];
                flipped[bit / 8] ^= (byte)(1 << (bit % 8));
                foreach (Func<byte[], bool> parser in Parsers) { parser(flipped); }
            }
        }
    }

    [Fact]
    public void What_a_drive_is_comes_back_as_it_was()
    {
        DrivePolicy policy = new(
            "a.b-c", DriveKind.Block, DriveFlags.Restoring, 10, 20, new(-5), [new(new(9), new(8)), new(new(7), new(6))]);
        Assert.True(DrivePolicy.TryDecode(Encode(policy), out DrivePolicy? decoded));
        Assert.Equal(policy.Origins.AsEnumerable(), decoded!.Origins);
        Assert.Equal(policy, decoded with { Origins = policy.Origins });
    }

    [Fact]
    public void A_flat_drive_has_one_origin_and_inherits_nothing()
    {
        DrivePolicy policy = new("flat", DriveKind.FileSystem, DriveFlags.None, 0, 0, default, [new(new(9), new(8))])
        {
            IsFlat = true,
        };
        byte[] bytes = Encode(policy);
        Assert.True(DrivePolicy.TryDecode(bytes, out DrivePolicy? decoded));
        Assert.True(decoded!.IsFlat);
        Assert.Empty(decoded.Inherited);
        Assert.Equal(policy.Origins.AsEnumerable(), decoded.Origins);
        bytes[28] = 0x80;
        Assert.False(DrivePolicy.TryDecode(bytes, out _));
    }

    [Fact]
    public void A_drive_with_a_damaged_or_missing_record_is_not_loaded_and_the_key_is_told()
    {
        foreach (RecordKind kind in new[] { RecordKind.Usage, RecordKind.Reservation, RecordKind.Drive })
        {
            TestDrive drive = new();
            RecordKey key = RecordKey.Single(kind);
            byte[] raw = key.In(drive.State.Drive).ToArray();
            ByteBuffer value = new();
            RecordEnvelope.Write(new(1), whiteout: false, "junk"u8, value);
            drive.Records.Put(raw, value.Span);
            Check(drive, raw);
            drive.Records.Delete(raw);
            if (kind != RecordKind.Drive) { Check(drive, raw); }
            else { Assert.Equal(Status.NotFound, DriveRecords.Load(drive.Records, drive.State.Drive, out _, out _)); }
        }

        static void Check(TestDrive drive, byte[] raw)
        {
            RecordCorruptException damaged = Assert.Throws<RecordCorruptException>(
                () => DriveRecords.Load(drive.Records, drive.State.Drive, out _, out _));
            Assert.Contains(Convert.ToHexStringLower(raw), damaged.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Records_of_a_drive_that_has_no_drive_record_are_not_passed_over()
    {
        TestDrive drive = new();
        RecordKey key = RecordKey.Single(RecordKind.Drive);
        drive.Records.Delete(key.In(drive.State.Drive));
        Assert.Throws<RecordCorruptException>(() => DriveCatalog.Read(drive.Records));
    }

    private static byte[] Encode(DrivePolicy policy)
    {
        ByteBuffer payload = new();
        policy.Encode(payload);
        return payload.Span.ToArray();
    }
}
