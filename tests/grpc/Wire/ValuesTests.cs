using System.Text;
using KvFs.Grpc.Tests.Support;
using KvFs.Grpc.Wire;

namespace KvFs.Grpc.Tests.Wire;

/// <summary>Status messages, binary metadata and media types.</summary>
public sealed class ValuesTests
{
    [Theory]
    [InlineData("plain text", "plain text")]
    [InlineData("100% ä\n", "100%25 %C3%A4%0A")]
    public void A_message_is_percent_encoded_where_it_must_be(string text, string encoded)
    {
        Assert.Equal(encoded, StatusMessage.Encode(text));
        Assert.Equal(text, StatusMessage.Decode(encoded));
    }

    [Theory]
    [InlineData("50% of %zz", "50% of %zz")]
    [InlineData("%", "%")]
    [InlineData("%4", "%4")]
    [InlineData("%41%4", "A%4")]
    public void What_cannot_be_decoded_stays_as_it_is(string encoded, string text) =>
        Assert.Equal(text, StatusMessage.Decode(encoded));

    [Fact]
    public void A_message_never_fills_the_headers_of_the_peer() =>
        Assert.Equal(StatusMessage.MaxChars, StatusMessage.Encode(new string('x', 100_000)).Length);

    [Fact]
    public void Bytes_come_back_with_and_without_padding()
    {
        int seed = Seeds.Next();
        Random random = new(seed);
        for (int length = 0; length < 200; length++)
        {
            byte[] bytes = new byte[length];
            random.NextBytes(bytes);
            Assert.DoesNotContain('=', BinaryValue.Encode(bytes));
            Assert.True(BinaryValue.TryDecode(BinaryValue.Encode(bytes), out byte[] read));
            Assert.Equal(bytes, read);
            Assert.True(BinaryValue.TryDecode(Convert.ToBase64String(bytes), out read));
            Assert.Equal(bytes, read);
        }
    }

    [Theory]
    [InlineData("a")]
    [InlineData("ab*=")]
    [InlineData("====")]
    public void What_is_not_base64_is_refused(string text) => Assert.False(BinaryValue.TryDecode(text, out _));

    [Theory]
    [InlineData("application/grpc", true)]
    [InlineData("application/grpc+proto", true)]
    [InlineData("application/grpc;charset=utf-8", true)]
    [InlineData("APPLICATION/GRPC", true)]
    [InlineData("application/grpc-web", false)]
    [InlineData("application/json", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void Only_media_types_of_gRPC_count(string? mediaType, bool isGrpc) =>
        Assert.Equal(isGrpc, HeaderNames.IsGrpc(mediaType));

    [Theory]
    [InlineData("0", GrpcStatusCode.Ok)]
    [InlineData("16", GrpcStatusCode.Unauthenticated)]
    [InlineData("99", (GrpcStatusCode)99)]
    [InlineData("x", GrpcStatusCode.Unknown)]
    [InlineData("-1", GrpcStatusCode.Unknown)]
    public void A_status_that_is_no_number_is_unknown(string text, GrpcStatusCode code) =>
        Assert.Equal(code, StatusText.Parse(text));

    [Fact]
    public void Metadata_that_cannot_travel_is_refused_when_it_is_added()
    {
        GrpcMetadata metadata = [];
        foreach (string name in (string[])["", "Upper", "a b", "grpc-status", "te", "content-type", ":path", "ä"])
        {
            Assert.ThrowsAny<ArgumentException>(() => metadata.Add(name, "x"));
        }
        Assert.Throws<ArgumentException>(() => metadata.Add("x", "a\nb"));
        Assert.Throws<ArgumentException>(() => metadata.Add("x", "ä"));
        Assert.Throws<ArgumentException>(() => metadata.Add("x-bin", "x"));
        Assert.Throws<ArgumentException>(() => metadata.Add("x", Encoding.ASCII.GetBytes("x")));
        metadata.Add("x", "1");
        metadata.Add("x", "2");
        metadata.Add(GrpcMetadata.StatusDetails, [1]);
        Assert.Equal("2", metadata.Get("x"));
        Assert.Null(metadata.Get("y"));
        Assert.Equal(3, metadata.Count);
    }
}
