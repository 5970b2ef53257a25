using System.CommandLine;

namespace KvFs.Bench.Tests;

public sealed class CommandLineTests
{
    [Fact]
    public async Task What_is_asked_for_reaches_the_run()
    {
        BenchOptions? read = await ReadAsync(
            "--server", "127.0.0.1:1,127.0.0.1:2", "--insecure", "--row", "read", "batch", "--pids", "3,4", "--seconds", "5");
        Assert.Equal(["127.0.0.1:1", "127.0.0.1:2"], read!.Servers.ToArray());
        Assert.Equal(["read", "batch"], read.Rows.ToArray());
        Assert.Equal([3, 4], read.Processes.ToArray());
        Assert.Equal(TimeSpan.FromSeconds(5), read.Time);
        Assert.Null(read.Certificates);
    }

    [Theory]
    [InlineData("--row", "read")]
    [InlineData("--row", "read", "--insecure", "--pki", "folder", "--pool", "name")]
    [InlineData("--row", "read", "--pki", "folder")]
    [InlineData("--row", "read", "--insecure", "--pids", "1,x")]
    [InlineData("--row", "read", "--insecure", "--batch", "1025")]
    public async Task What_makes_no_sense_is_refused_in_words(params string[] arguments)
    {
        BenchException refused = await Assert.ThrowsAsync<BenchException>(() => ReadAsync(["--server", "127.0.0.1:1", .. arguments]));
        Assert.Equal(BenchException.Usage, refused.ExitCode);
    }

    [Theory]
    [InlineData("--insecure", "--row", "dance")]
    [InlineData("--insecure", "--row", "read", "--seconds", "0")]
    public void What_cannot_be_parsed_is_an_error(params string[] arguments) =>
        Assert.NotEmpty(Command(static (_, _) => Task.CompletedTask).Parse(["--server", "127.0.0.1:1", .. arguments]).Errors);

    [Fact]
    public async Task A_pool_that_is_not_there_is_said_to_be()
    {
        BenchOptions? read = await ReadAsync("--server", "127.0.0.1:1", "--insecure", "--row", "read");
        BenchException missing = await Assert.ThrowsAsync<BenchException>(() => PoolUnderTest.ConnectAsync(read!, CancellationToken.None));
        Assert.Equal(BenchException.NotThere, missing.ExitCode);
        Assert.Contains("127.0.0.1:1", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Certificates_that_are_not_there_are_said_to_be()
    {
        BenchOptions? read = await ReadAsync("--server", "127.0.0.1:1", "--pki", "/nowhere", "--pool", "local", "--row", "read");
        BenchException missing = await Assert.ThrowsAsync<BenchException>(() => PoolUnderTest.ConnectAsync(read!, CancellationToken.None));
        Assert.Equal(BenchException.NotThere, missing.ExitCode);
        Assert.Contains("/nowhere", missing.Message, StringComparison.Ordinal);
    }

    private static async Task<BenchOptions?> ReadAsync(params string[] arguments)
    {
        BenchOptions? read = null;
        RootCommand command = Command((options, _) =>
        {
            read = options;
            return Task.CompletedTask;
        });
        await command.Parse(arguments).InvokeAsync(new() { EnableDefaultExceptionHandler = false });
        return read;
    }

    private static RootCommand Command(Func<BenchOptions, CancellationToken, Task> run) => new BenchCommandLine().Build(run);
}
