using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Core.Tests.Primitives;

public class IdsTests
{
    [Fact]
    public void A_drive_id_survives_its_text_and_its_bytes()
    {
        Prop.ForAll<Guid>(static guid =>
        {
            Assert.True(DriveId.TryParse(guid.ToString("D"), out DriveId id));
            byte[] bytes = new byte[DriveId.Size];
            id.Write(bytes);
            return DriveId.Read(bytes) == id && id.ToString() == guid.ToString("D")
                && bytes.AsSpan().SequenceEqual(guid.ToByteArray(bigEndian: true));
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0192f0c1-1111-7222-8333-44445555666")]
    [InlineData("{0192f0c1-1111-7222-8333-444455556666}")]
    [InlineData("0192f0c1-1111-7222-8333-44445555666g")]
    public void What_is_no_drive_id_is_refused(string? text) => Assert.False(DriveId.TryParse(text, out _));

    [Fact]
    public void A_drive_id_reads_either_case_and_prints_lower_case()
    {
        Assert.True(DriveId.TryParse("0192F0C1-1111-7222-8333-44445555666A", out DriveId id));
        Assert.Equal("0192f0c1-1111-7222-8333-44445555666a", id.ToString());
    }

    [Fact]
    public void The_byte_order_of_drive_ids_is_their_order()
    {
        Prop.ForAll<Guid, Guid>(static (left, right) =>
        {
            byte[] a = left.ToByteArray(bigEndian: true);
            byte[] b = right.ToByteArray(bigEndian: true);
            return Math.Sign(a.AsSpan().SequenceCompareTo(b)) == Math.Sign(DriveId.Read(a).CompareTo(DriveId.Read(b)));
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(0, 0, 0u)]
    [InlineData(1_500_000_000, 1, 500_000_000u)]
    [InlineData(-1, -1, 999_999_999u)]
    [InlineData(-1_000_000_000, -1, 0u)]
    [InlineData(-1_000_000_001, -2, 999_999_999u)]
    public void Times_before_1970_round_their_seconds_down(long nanoseconds, long seconds, uint rest)
    {
        Timestamp time = new(nanoseconds);
        Assert.Equal(seconds, time.Seconds);
        Assert.Equal(rest, time.SubsecondNanoseconds);
        Assert.Equal(time, Timestamp.FromParts(seconds, rest));
    }

    [Fact]
    public void Times_that_do_not_fit_are_clamped()
    {
        Assert.Equal(new Timestamp(long.MaxValue), Timestamp.FromParts(long.MaxValue, 0));
        Assert.Equal(new Timestamp(long.MinValue), Timestamp.FromParts(long.MinValue, 0));
    }
}
