using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Tests.CommandLine;

public sealed class SizeTextTests
{
    [Theory]
    [InlineData("0", 0UL)]
    [InlineData("4096", 4096UL)]
    [InlineData("10GiB", 10UL << 30)]
    [InlineData("10Gi", 10UL << 30)]
    [InlineData("10G", 10UL << 30)]
    [InlineData("10g", 10UL << 30)]
    [InlineData(" 10 GiB ", 10UL << 30)]
    [InlineData("10GB", 10_000_000_000UL)]
    [InlineData("1.5TB", 1_500_000_000_000UL)]
    [InlineData("1.5KiB", 1536UL)]
    [InlineData("0.0001KiB", 0UL)]
    [InlineData("7B", 7UL)]
    [InlineData("15.999999999EiB", 18446744072556630111UL)]
    [InlineData("18446744073709551615", ulong.MaxValue)]
    public void A_size_means_that_many_bytes(string text, ulong expected)
    {
        Assert.True(SizeText.TryParse(text, out ulong bytes));
        Assert.Equal(expected, bytes);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("GiB")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData("1e3")]
    [InlineData("1.5")]
    [InlineData("1.5B")]
    [InlineData("1.K")]
    [InlineData(".5K")]
    [InlineData("1,5K")]
    [InlineData("10 Gi B")]
    [InlineData("10Q")]
    [InlineData("10KK")]
    [InlineData("16EiB")]
    [InlineData("18446744073709551616")]
    [InlineData("99999999999999999999")]
    [InlineData("999999999999999999999")]
    [InlineData("1.0000000000K")]
    [InlineData("١٠")]
    public void What_is_no_size_is_refused(string? text) => Assert.False(SizeText.TryParse(text, out _));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData((1L << 20) - 1, "1 MiB")]
    [InlineData(10L << 30, "10 GiB")]
    [InlineData(long.MaxValue, "8 EiB")]
    public void A_size_is_shown_with_four_digits_at_most(long bytes, string expected) =>
        Assert.Equal(expected, SizeText.Format((ulong)bytes));

    [Fact]
    public void Any_number_of_bytes_reads_back_as_itself() => Prop.ForAll<ulong>(bytes =>
            SizeText.TryParse(bytes.ToString(CultureInfo.InvariantCulture), out ulong read) && read == bytes)
        .QuickCheckThrowOnFailure();

    [Fact]
    public void What_is_shown_reads_back_within_its_precision() => Prop.ForAll<ulong>(bytes =>
            SizeText.TryParse(SizeText.Format(bytes), out ulong read)
                && Math.Abs((double)read - bytes) <= Math.Max(1, bytes * 0.05))
        .QuickCheckThrowOnFailure();

    [Fact]
    public void Any_text_is_read_or_refused() => Prop.ForAll<string>(text =>
        {
            _ = SizeText.TryParse(text, out _);
            _ = SizeText.TryParse("1" + text, out _);
        }).QuickCheckThrowOnFailure();
}
