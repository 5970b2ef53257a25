using System.Text;

namespace KvFs.Core.Tests;

public sealed class RecordGoldenTests
{
    public static TheoryData<string> Names => [.. RecordSamples.All.Select(sample => sample.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_record_is_written_as_the_first_version_wrote_it_and_reads_again(string name)
    {
        RecordSample sample = RecordSamples.All.Single(sample => sample.Name == name);
        RecordKey key = RecordKey.FromRelative(sample.Key);
        ByteBuffer value = new();
        RecordEnvelope.Write(RecordSamples.Written, whiteout: false, sample.Payload, value);
        string text = $"""
            key   {Convert.ToHexStringLower(key.In(RecordSamples.Drive))}
            value {Convert.ToHexStringLower(value.Span)}

            """;

        Golden.Check(name + ".txt", Encoding.ASCII.GetBytes(text));

        Assert.Equal(Status.Ok, RecordEnvelope.Read(value.Span, out RecordHeader header, out ReadOnlySpan<byte> payload));
        Assert.Equal(new(RecordSamples.Written, Whiteout: false), header);
        Assert.True(sample.Reads(key.Relative.ToArray(), payload.ToArray()));
    }

    [Fact]
    public void Every_kind_of_record_has_a_golden_file()
    {
        HashSet<byte> kinds =
        [
            .. RecordSamples.All.Select(sample => sample.Key[0]),
            (byte)RecordKind.Restore, (byte)RecordKind.RestoreWork, (byte)RecordKind.RestoreLink,
        ];
        Assert.All(Enum.GetValues<RecordKind>(), kind => Assert.Contains((byte)kind, kinds));
    }

    [Fact]
    public void A_whiteout_is_written_as_the_first_version_wrote_it()
    {
        ByteBuffer value = new();
        RecordEnvelope.Write(RecordSamples.Written, whiteout: true, default, value);
        Golden.Check("ns-whiteout-v1.txt", Encoding.ASCII.GetBytes($"value {Convert.ToHexStringLower(value.Span)}\n"));
        Assert.Equal(Status.Ok, RecordEnvelope.Read(value.Span, out RecordHeader header, out _));
        Assert.True(header.Whiteout);
    }

    [Fact]
    public void A_batch_is_written_as_the_first_version_wrote_it()
    {
        RecordBatch batch = new();
        batch.Put("key"u8, "value"u8);
        batch.Delete("gone"u8);
        batch.DeleteRange("a"u8, "b"u8);
        Golden.Check("batch-v1.txt", Encoding.ASCII.GetBytes(Convert.ToHexStringLower(batch.Bytes) + "\n"));
    }
}
