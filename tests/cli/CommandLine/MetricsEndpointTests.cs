using KvFs.Cli.CommandLine;

namespace KvFs.Cli.Tests.CommandLine;

public sealed class MetricsEndpointTests
{
    [Theory]
    [InlineData("127.0.0.1:9747")]
    [InlineData("127.0.0.1:0")]
    [InlineData("[::1]:9747")]
    [InlineData("0.0.0.0:80")]
    public void An_address_and_port_is_where_it_listens(string text)
    {
        Assert.True(MetricsEndpoint.TryParse(text, out MetricsEndpoint? endpoint));
        Assert.Equal(text, endpoint!.Address!.ToString());
        Assert.False(endpoint.MayMove);
    }

    [Fact]
    public void Off_means_nowhere_at_all()
    {
        Assert.True(MetricsEndpoint.TryParse("off", out MetricsEndpoint? endpoint));
        Assert.Null(endpoint!.Address);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("9747")]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1:")]
    [InlineData("127.0.0.1:70000")]
    [InlineData("::1")]
    [InlineData("::1:9747")]
    [InlineData("[::1]")]
    [InlineData("localhost:9747")]
    [InlineData("Off")]
    public void Anything_else_is_refused(string? text) => Assert.False(MetricsEndpoint.TryParse(text, out _));

    [Fact]
    public void The_usual_place_is_loopback() =>
        Assert.True(System.Net.IPAddress.IsLoopback(MetricsEndpoint.Default.Address!.Address));
}
