namespace KvFs.Integration.Tests.CommandLine;

/// <summary>Files of the key-value store are not what was left there: the program refuses them with advice, changes nothing, and
/// everything is there once they are put back.</summary>
public sealed class DamagedStoreTests : IAsyncLifetime
{
    /// <summary>RocksDB's own text about what it does, and ours.</summary>
    private static readonly string[] s_texts = ["LOG", "OPTIONS-", "kvfs.log"];

    private readonly byte[] content = new byte[300_000];

    public DamagedStoreTests() => new Random(3).NextBytes(content);

    private Installation Here { get; } = new();

    public async Task InitializeAsync()
    {
        await FillAsync(Here);

        // Once more, so that there are tables that the last run did not make.
        await Here.UpAsync();
        await Here.DownAsync();
    }

    public async Task DisposeAsync() => await Here.DisposeAsync();

    [Fact]
    public Task A_CURRENT_that_names_no_file() => ExpectRefusalAsync(
        InStore("CURRENT"), path => File.WriteAllText(path, "MANIFEST-999999\n"), "restore the data folder from a backup");

    [Fact]
    public Task A_CURRENT_that_is_gone() => ExpectRefusalAsync(
        InStore("CURRENT"), File.Delete, "CURRENT' is gone", "put it back", "restore the data folder from a backup");

    [Fact]
    public Task A_MANIFEST_that_was_cut() => ExpectRefusalAsync(
        Assert.Single(Directory.GetFiles(InStore(string.Empty), "MANIFEST-*")), path => Cut(path, 64),
        "restore the data folder from a backup");

    [Fact]
    public Task A_table_that_was_cut() => ExpectRefusalAsync(
        Tables(Here).MaxBy(static path => new FileInfo(path).Length)!, path => Cut(path, new FileInfo(path).Length / 2),
        "restore the data folder from a backup");

    [Fact]
    public Task A_table_that_is_gone() => ExpectRefusalAsync(Tables(Here)[0], File.Delete, "restore the data folder from a backup");

    [Fact]
    public async Task A_table_of_the_same_length_of_another_folder()
    {
        await using Installation other = new();
        await FillAsync(other);
        (string ours, string theirs) = (
            from our in Tables(Here)
            from their in Tables(other)
            where new FileInfo(our).Length == new FileInfo(their).Length
                && !File.ReadAllBytes(our).AsSpan().SequenceEqual(File.ReadAllBytes(their))
            select (our, their)).First();
        await ExpectRefusalAsync(ours, path => File.Copy(theirs, path, overwrite: true), "restore the data folder from a backup");
    }

    private static string[] Tables(Installation installation) =>
        [.. Directory.GetFiles(Path.Combine(installation.Data, "db"), "*.sst").Order(StringComparer.Ordinal)];

    private static void Cut(string path, long length)
    {
        using FileStream file = File.OpenWrite(path);
        Assert.True(file.Length > length);
        file.SetLength(length);
    }

    private string InStore(string name) => Path.Combine(Here.Data, "db", name);

    private async Task FillAsync(Installation installation)
    {
        await installation.UpAsync();
        await File.WriteAllBytesAsync(installation.At("file"), content);
        await installation.DownAsync();
    }

    private async Task ExpectRefusalAsync(string path, Action<string> damage, params string[] advice)
    {
        byte[] good = await File.ReadAllBytesAsync(path);
        damage(path);
        Dictionary<string, byte[]> before = Read();

        // Twice each: what is refused must not be made to look whole by that.
        string[] up = ["up", "--detach", "--no-mount", "--metrics", "off"];
        foreach (string[] command in (string[][])[["fsck", "--offline"], up, ["fsck", "--offline", "--repair"], up])
        {
            Outcome outcome = await Here.RunAsync(command);
            Assert.True(outcome.Code == 9, outcome.ToString());
            Assert.All([InStore(string.Empty).TrimEnd('/'), "Nothing was changed.", .. advice], words =>
                Assert.Contains(words, outcome.Errors, StringComparison.Ordinal));
        }

        Dictionary<string, byte[]> after = Read();
        Assert.All(before, file => Assert.True(
            after.TryGetValue(file.Key, out byte[]? now) && now.AsSpan().SequenceEqual(file.Value), $"{file.Key} was changed."));
        await File.WriteAllBytesAsync(path, good);
        await Here.UpAsync();
        Assert.Equal(content, await File.ReadAllBytesAsync(Here.At("file")));
        await Here.DownAsync();
        Outcome check = await Here.RunAsync("fsck", "--offline", "--read-bytes");
        Assert.True(check.Code == 0, check.ToString());
    }

    /// <summary>Every file of the data folder that is data.</summary>
    private Dictionary<string, byte[]> Read() => Directory.EnumerateFiles(Here.Data, "*", SearchOption.AllDirectories)
        .Where(static path => !s_texts.Any(text => Path.GetFileName(path).StartsWith(text, StringComparison.Ordinal)))
        .ToDictionary(static path => path, File.ReadAllBytes);
}
