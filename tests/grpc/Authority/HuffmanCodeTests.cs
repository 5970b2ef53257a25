using System.Text;
using KvFs.Grpc.Authority;
using KvFs.Grpc.Tests.Support;

namespace KvFs.Grpc.Tests.Authority;

public sealed class HuffmanCodeTests
{
    // RFC 7541, appendix C.4 and C.6.
    [Theory]
    [InlineData("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com")]
    [InlineData("a8eb10649cbf", "no-cache")]
    [InlineData("25a849e95ba97d7f", "custom-key")]
    [InlineData("25a849e95bb8e8b4bf", "custom-value")]
    [InlineData("6402", "302")]
    [InlineData("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT")]
    [InlineData("94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")]
    public void The_examples_of_the_RFC_are_read_as_it_says(string coded, string text)
    {
        byte[] read = new byte[100];
        int length = HuffmanCode.Decode(Convert.FromHexString(coded), read);
        Assert.Equal(text, Encoding.ASCII.GetString(read, 0, length));
        Assert.Equal(Convert.FromHexString(coded), Hpack.Huffman(Encoding.ASCII.GetBytes(text)));
    }

    [Fact]
    public void Every_byte_comes_back_as_it_was()
    {
        byte[] all = [.. Enumerable.Range(0, 256).Select(value => (byte)value)];
        byte[] read = new byte[256];
        Assert.Equal(256, HuffmanCode.Decode(Hpack.Huffman(all), read));
        Assert.Equal(all, read);
    }

    [Fact]
    public void The_lengths_fill_the_code_to_the_last_bit() =>
        Assert.Equal(1.0, HuffmanCode.Lengths.ToArray().Sum(length => Math.Pow(2, -length)), 12);

    [Fact]
    public void A_text_that_does_not_fit_is_counted_in_full() =>
        Assert.Equal(15, HuffmanCode.Decode(Convert.FromHexString("f1e3c2e5f23a6ba0ab90f4ff"), new byte[3]));

    [Theory]
    [InlineData("ffffffff")]  // The end of string is no character.
    [InlineData("a8eb10649cbe")]  // Padding that is not all ones.
    [InlineData("1fff")]  // More than seven bits of padding.
    public void What_is_not_well_formed_is_refused(string coded) =>
        Assert.Equal(-1, HuffmanCode.Decode(Convert.FromHexString(coded), new byte[100]));
}
