using System.Globalization;
using KvFs.Grpc.Tests.Support;
using KvFs.Grpc.Wire;

namespace KvFs.Grpc.Tests.Wire;

public sealed class GrpcTimeoutTests
{
    [Theory]
    [InlineData("1H", 36_000_000_000)]
    [InlineData("2M", 1_200_000_000)]
    [InlineData("3S", 30_000_000)]
    [InlineData("3010m", 30_100_000)]
    [InlineData("5u", 50)]
    [InlineData("700n", 7)]
    [InlineData("1n", 1)]
    [InlineData("0S", 0)]
    [InlineData("99999999H", 3_599_999_964_000_000_000)]
    public void Every_unit_is_read(string text, long ticks)
    {
        Assert.True(GrpcTimeout.TryParse(text, out TimeSpan timeout));
        Assert.Equal(ticks, timeout.Ticks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("1")]
    [InlineData("1s")]
    [InlineData("-1S")]
    [InlineData("+1S")]
    [InlineData(" 1S")]
    [InlineData("1 S")]
    [InlineData("1.5S")]
    [InlineData("123456789S")]
    [InlineData("١S")]
    [InlineData("1SS")]
    public void What_is_not_of_the_form_is_refused(string text) => Assert.False(GrpcTimeout.TryParse(text, out _));

    [Theory]
    [InlineData(0, "1n")]
    [InlineData(-5, "1n")]
    [InlineData(1, "100n")]
    [InlineData(10_000_000, "1000000u")]
    [InlineData(10_000_000_000, "1000000m")]
    [InlineData(long.MaxValue, "99999999H")]
    public void A_time_is_written_in_the_finest_unit_that_has_room(long ticks, string text) =>
        Assert.Equal(text, GrpcTimeout.Format(new TimeSpan(ticks)));

    [Fact]
    public void What_is_written_is_read_back_never_shorter_and_hardly_longer()
    {
        int seed = Seeds.Next();
        Random random = new(seed);
        for (int round = 0; round < 20_000; round++)
        {
            TimeSpan timeout = new(Math.Max(1, random.NextInt64(TimeSpan.TicksPerHour * 99_999_999) >> random.Next(60)));
            string text = GrpcTimeout.Format(timeout);
            Assert.True(GrpcTimeout.TryParse(text, out TimeSpan read), $"seed {seed}: {timeout} became {text}");
            Assert.True(read >= timeout, $"seed {seed}: {timeout} became {text}");
            Assert.True(read.Ticks - timeout.Ticks <= timeout.Ticks / 20_000, $"seed {seed}: {timeout} became {text}");
        }
    }

    [Fact]
    public void No_text_makes_the_parser_fail_and_no_time_is_negative()
    {
        int seed = Seeds.Next();
        Random random = new(seed);
        const string letters = "0123456789HMSmun -+.\0é";
        for (int round = 0; round < 50_000; round++)
        {
            string text = new([.. Enumerable.Range(0, random.Next(12)).Select(_ => letters[random.Next(letters.Length)])]);
            bool parsed = GrpcTimeout.TryParse(text, out TimeSpan timeout);
            Assert.True(timeout >= TimeSpan.Zero, string.Create(CultureInfo.InvariantCulture, $"seed {seed}: {text} became {timeout}"));
            Assert.True(!parsed || (char.IsAsciiDigit(text[0]) && "HMSmun".Contains(text[^1], StringComparison.Ordinal)), $"seed {seed}: {text}");
        }
    }
}
