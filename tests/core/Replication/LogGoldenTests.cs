using System.Collections.Immutable;
using System.Text;

namespace KvFs.Core.Tests;

/// <summary>What a shard's log has on the disk.</summary>
public sealed class LogGoldenTests
{
    private static readonly ShardId s_shard = new(0x0102);
    private static readonly LogIndex s_index = new(0x0304_0506_0708_090A);
    private static readonly Epoch s_epoch = new(0x1112_1314_1516_1718);
    private static readonly DriveId s_drive = new(new UInt128(0x2122_2324_2526_2728, 0x3132_3334_3536_3738));

    [Fact]
    public void An_entry_of_a_log_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        RecordBatch batch = new();
        batch.Put("key"u8, "value"u8);
        batch.Delete("gone"u8);
        byte[] key = new byte[LogEntry.KeyBytes];
        LogEntry.WriteKey(s_shard, s_index, key);
        ByteBuffer value = new();
        LogEntry.WriteValue(key, s_epoch, s_drive, batch.Bytes, value);
        Check("log-entry-v1.txt", key, value.Span);

        Assert.True(LogEntry.TryReadKey(key, out ShardId shard, out LogIndex index));
        Assert.Equal((s_shard, s_index), (shard, index));
        Status read = LogEntry.ReadValue(key, value.Span, out Epoch epoch, out DriveId drive, out ReadOnlySpan<byte> changes);
        Assert.Equal((Status.Ok, s_epoch, s_drive), (read, epoch, drive));
        Assert.Equal(batch.Bytes.ToArray(), changes.ToArray());
    }

    [Fact]
    public void The_mark_of_what_was_applied_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        byte[] key = new byte[AppliedMark.KeyBytes];
        AppliedMark.WriteKey(s_shard, key);
        ByteBuffer value = new();
        AppliedMark.WriteValue(s_index, value);
        Check("ns-applied-v1.txt", key, value.Span);

        Assert.Equal(Status.Ok, AppliedMark.ReadValue(value.Span, out LogIndex applied));
        Assert.Equal(s_index, applied);
    }

    [Fact]
    public void The_reigns_that_ended_are_written_as_the_first_version_wrote_them_and_read_again()
    {
        LogPosition start = new(s_epoch, s_index);
        ImmutableArray<LogRun> ended = [default, new(new(0x0102), new(0x0304)), new(new(0x1112_1314_1516_1717), new(0x0304_0506_0708_0909))];
        byte[] key = new byte[EndedReigns.KeyBytes];
        EndedReigns.WriteKey(s_shard, key);
        ByteBuffer value = new();
        EndedReigns.WriteValue(key, start, ended, value);
        Check("sys-ended-reigns-v1.txt", key, value.Span);

        Assert.Equal(Status.Ok, EndedReigns.ReadValue(key, value.Span, out LogPosition readStart, out ImmutableArray<LogRun> read));
        Assert.Equal(start, readStart);
        Assert.Equal(ended.AsEnumerable(), read.AsEnumerable());
        byte[] written = value.Span.ToArray();
        for (int at = 0; at < written.Length; at++)
        {
            byte[] damaged = [.. written];
            damaged[at] ^= 0x40;
            Assert.Equal(Status.Corrupt, EndedReigns.ReadValue(key, damaged, out _, out _));
            Assert.Equal(Status.Corrupt, EndedReigns.ReadValue(key, written.AsSpan(0, at), out _, out _));
        }
    }

    private static void Check(string name, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        string text = $"""
            key   {Convert.ToHexStringLower(key)}
            value {Convert.ToHexStringLower(value)}

            """;
        Golden.Check(name, Encoding.ASCII.GetBytes(text));
    }
}
