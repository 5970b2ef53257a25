using FsCheck;
using FsCheck.Fluent;

namespace KvFs.Core.Tests.Primitives;

public class Crc32CTests
{
    /// <summary>RFC 3720, appendix B.4, and the check value of the polynomial.</summary>
    [Fact]
    public void The_vectors_of_rfc_3720_hold()
    {
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Compute([.. Enumerable.Range(0, 32).Select(static i => (byte)i)]));
        Assert.Equal(0x113FDB5Cu, Crc32C.Compute([.. Enumerable.Range(0, 32).Select(static i => (byte)(31 - i))]));
        Assert.Equal(0xE3069283u, Crc32C.Compute("123456789"u8));
        Assert.Equal(0u, Crc32C.Compute([]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(3071)]
    [InlineData(3072)]
    [InlineData(3073)]
    [InlineData(6144)]
    [InlineData(65536)]
    public void The_instruction_and_the_table_agree_at_the_seams_of_stripes(int length)
    {
        byte[] bytes = Fill(length);
        Assert.Equal(Crc32C.AppendPortable(0, bytes), Crc32C.Compute(bytes));
    }

    [Fact]
    public void Any_split_of_any_bytes_gives_the_same_checksum()
    {
        Prop.ForAll<byte[], int>(static (bytes, at) =>
        {
            int split = bytes.Length == 0 ? 0 : Math.Abs(at % (bytes.Length + 1));
            uint whole = Crc32C.Compute(bytes);
            return Crc32C.Append(Crc32C.Compute(bytes.AsSpan(0, split)), bytes.AsSpan(split)) == whole
                && Crc32C.AppendPortable(0, bytes) == whole;
        }).QuickCheckThrowOnFailure();
    }

    private static byte[] Fill(int length) => [.. Enumerable.Range(0, length).Select(static i => (byte)((i * 31) ^ (i >> 7)))];
}
