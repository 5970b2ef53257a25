using System.Buffers.Binary;
using System.Text;

namespace KvFs.Core.Tests;

/// <summary>The records of a restore: the core writes them into transactions only, so these do, too.</summary>
public sealed class RestoreGoldenTests
{
    private readonly TestDrive drive = new();

    [Fact]
    public void A_restore_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        Assert.Equal(Status.Ok, drive.Run(transaction =>
        {
            new RestoreJob()
            {
                Phase = RestorePhase.Copy, At = new(0x1112), Source = new(0x2122), Staged = new(0x3132),
                Subdirectories = 4, Position = "position"u8, Path = "/a/path"u8,
            }.Write(transaction);
            return Status.Ok;
        }));

        Check("ns-restore-v1.txt", RecordKey.Single(RecordKind.Restore));

        Assert.True(RestoreJob.TryRead(drive.Head, new ByteBuffer(), out RestoreJob read));
        Assert.Equal(RestorePhase.Copy, read.Phase);
        Assert.Equal(new CowNumber(0x1112), read.At);
        Assert.Equal(new VNodeId(0x2122), read.Source);
        Assert.Equal(new VNodeId(0x3132), read.Staged);
        Assert.Equal(4U, read.Subdirectories);
        Assert.True(read.Position.SequenceEqual("position"u8) && read.Path.SequenceEqual("/a/path"u8));
    }

    [Fact]
    public void What_a_restore_has_still_to_do_is_written_as_the_first_version_wrote_it_and_reads_again()
    {
        RestoreWork work = new(new(0x2122), new(0x3132), 0x4142);
        Assert.Equal(Status.Ok, drive.Run(transaction =>
        {
            work.Write(transaction);
            RestoreWork.PutLink(new(0x5152), new(0x6162), transaction);
            Assert.True(RestoreWork.TryGetNext(null, transaction, out RestoreWork read));
            Assert.Equal(work, read);
            Assert.True(RestoreWork.TryGetLink(new(0x5152), transaction, out VNodeId target));
            Assert.Equal(new VNodeId(0x6162), target);
            return Status.Ok;
        }));

        Check("ns-restore-work-v1.txt", RecordKey.Numbered(RecordKind.RestoreWork, 0x2122, 0x3132));
        Check("ns-restore-link-v1.txt", RecordKey.Numbered(RecordKind.RestoreLink, 0x5152));
    }

    [Fact]
    public void No_damage_to_a_restore_is_taken_for_a_bug()
    {
        Random random = new(7);
        for (int round = 0; round < 2000; round++)
        {
            byte[] payload = new byte[random.Next(60)];
            random.NextBytes(payload);
            if (payload.Length > 30) { BinaryPrimitives.WriteUInt16LittleEndian(payload.AsSpan(29), (ushort)random.Next(40)); }
            if (payload.Length > 0) { payload[0] = (byte)random.Next(5); }
            Assert.Equal(Status.Ok, drive.Run(transaction =>
            {
                RecordKey key = RecordKey.Single(RecordKind.Restore);
                transaction.Put(ref key, payload);
                return Status.Ok;
            }));
            try { RestoreJob.TryRead(drive.Head, new ByteBuffer(), out _); }
            catch (RecordCorruptException refused) { Assert.Equal(Status.Corrupt, refused.Status); }
        }
    }

    private void Check(string golden, RecordKey key)
    {
        ByteBuffer value = new();
        Assert.True(drive.Records.TryGet(key.In(drive.State.Drive), value));
        string text = $"""
            key   {Convert.ToHexStringLower(key.In(drive.State.Drive))}
            value {Convert.ToHexStringLower(value.Span)}

            """;
        Golden.Check(golden, Encoding.ASCII.GetBytes(text));
    }
}
