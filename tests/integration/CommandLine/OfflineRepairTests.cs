using System.Text.Json;
using KvFs.Core;
using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.CommandLine;

/// <summary><c>kvfs fsck --offline --repair</c> on the folder of a node: mends what can be proved, discards nothing.</summary>
public sealed class OfflineRepairTests : IAsyncLifetime
{
    /// <summary>Inline in the record, one block, many blocks.</summary>
    private static readonly int[] s_sizes = [1, 900, 70_000, 5 << 20];

    private Installation Here { get; } = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await Here.DisposeAsync();

    [Fact]
    public async Task A_lost_name_and_wrong_counts_are_mended_and_all_files_are_there_byte_for_byte()
    {
        await WriteAndStopAsync();
        VNodeId lost = default;
        StoredRecords.Change(Here.Data, records =>
        {
            VNodeId folder = records.Find(VNodeId.Root, "folder");
            lost = records.Find(folder, "lost");
            records.DeleteName(folder, "lost");
            records.ChangeVNode(VNodeId.Root, static root => root with { Size = 17, Nlink = 9 });
        });

        (int code, JsonElement found) = await CheckAsync();
        Assert.Equal(9, code);
        Assert.False(found.GetProperty("clean").GetBoolean());
        Assert.NotEmpty(Problems(found, repaired: false));
        Assert.Empty(Problems(found, repaired: true));

        (code, JsonElement mended) = await CheckAsync("--repair");
        Assert.True(code == 0, mended.ToString());
        Assert.True(mended.GetProperty("clean").GetBoolean());
        Assert.Contains($"VNode {lost}", Problems(mended, repaired: true).Select(PlaceOf));
        Assert.Contains($"VNode {VNodeId.Root}", Problems(mended, repaired: true).Select(PlaceOf));
        Assert.Empty(Problems(mended, repaired: false));

        await ExpectCleanAsync();
        await Here.UpAsync();
        VerifyKept();
        string again = RepairDrive.LostName(lost);
        Assert.Equal(Content("lost", 70_000), await File.ReadAllBytesAsync(Here.At(again)));
        Assert.Equal(
            ["folder", again],
            Directory.EnumerateFileSystemEntries(Here.Mount).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        File.Move(Here.At(again), Here.At("folder/lost"));
        await Here.DownAsync();
        await ExpectCleanAsync();
    }

    [Fact]
    public async Task What_cannot_be_proved_dead_is_named_and_kept_and_everything_else_is_mended()
    {
        const string Unclaimed = "A block is stored that nothing refers to and nobody was granted.";
        await WriteAndStopAsync();
        int unclaimed = 0;
        StoredRecords.Change(Here.Data, records =>
        {
            VNodeId folder = records.Find(VNodeId.Root, "folder");
            unclaimed = records.Forget(folder, "lost");
            records.PutName(VNodeId.Root, "ghost", new VNodeId(999_999));
        });
        Assert.True(unclaimed > 0);

        (int code, JsonElement found) = await CheckAsync("--read-bytes");
        Assert.Equal(9, code);
        long blocks = found.GetProperty("blocks").GetInt64();
        Assert.Equal(unclaimed, Problems(found, repaired: false).Count(one => one.GetProperty("problem").GetString() == Unclaimed));

        // Counts are mended. The name that leads nowhere, and bytes that a file may have been, are for people to decide.
        (code, JsonElement mended) = await CheckAsync("--read-bytes", "--repair");
        Assert.Equal(9, code);
        Assert.NotEmpty(Problems(mended, repaired: true));
        ExpectOnlyTheUndecided(mended);
        Outcome said = await Here.RunAsync("fsck", "--offline", "--repair");
        Assert.Equal(9, said.Code);
        Assert.Contains(Unclaimed, said.Output, StringComparison.Ordinal);
        Assert.Contains("Damaged: ", said.Output, StringComparison.Ordinal);

        (code, JsonElement left) = await CheckAsync("--read-bytes");
        Assert.Equal(9, code);
        ExpectOnlyTheUndecided(left);

        // Serving such a folder takes nothing of it either.
        await Here.UpAsync();
        VerifyKept();
        await Here.DownAsync();
        (_, left) = await CheckAsync("--read-bytes");
        ExpectOnlyTheUndecided(left);

        void ExpectOnlyTheUndecided(JsonElement report)
        {
            Assert.Equal(blocks, report.GetProperty("blocks").GetInt64());
            List<JsonElement> kept = Problems(report, repaired: false);
            Assert.Equal(unclaimed, kept.Count(static one => one.GetProperty("problem").GetString() == Unclaimed));
            JsonElement ghost = Assert.Single(kept, static one => one.GetProperty("problem").GetString() != Unclaimed);
            Assert.Contains("999999", ghost.ToString(), StringComparison.Ordinal);
        }
    }

    private static List<JsonElement> Problems(JsonElement report, bool repaired) =>
        [.. report.GetProperty("problems").EnumerateArray().Where(one => one.GetProperty("repaired").GetBoolean() == repaired)];

    private static string? PlaceOf(JsonElement problem) => problem.GetProperty("place").GetString();

    private static byte[] Content(string name, int size)
    {
        byte[] bytes = new byte[size];
        new Random(name.Length + size).NextBytes(bytes);
        return bytes;
    }

    private async Task WriteAndStopAsync()
    {
        await Here.UpAsync();
        Directory.CreateDirectory(Here.At("folder"));
        foreach (int size in s_sizes) { WriteSynced(KeptAt(size), Content("kept", size)); }
        WriteSynced(Here.At("folder/lost"), Content("lost", 70_000));
        await Here.DownAsync();
        await ExpectCleanAsync();
    }

    /// <summary>Synced each: files that are written together may share a block.</summary>
    private static void WriteSynced(string path, byte[] content)
    {
        using FileStream file = new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        file.Write(content);
        file.Flush(flushToDisk: true);
    }

    private string KeptAt(int size) => Here.At(FormattableString.Invariant($"folder/kept-{size}"));

    private void VerifyKept()
    {
        foreach (int size in s_sizes)
        {
            Assert.True(Content("kept", size).AsSpan().SequenceEqual(File.ReadAllBytes(KeptAt(size))), KeptAt(size));
        }
    }

    private async Task<(int Code, JsonElement Report)> CheckAsync(params IEnumerable<string> options)
    {
        Outcome outcome = await Here.RunAsync(["fsck", "--offline", .. options, "--output", "json"]);
        Assert.True(outcome.Output.Length > 0, outcome.ToString());
        return (outcome.Code, outcome.Json);
    }

    private async Task ExpectCleanAsync()
    {
        (int code, JsonElement report) = await CheckAsync("--read-bytes");
        Assert.True(code == 0 && report.GetProperty("problemCount").GetInt64() == 0, report.ToString());
    }
}
