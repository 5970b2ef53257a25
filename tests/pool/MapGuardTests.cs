using System.Text.Json;
using KvFs.Client;
using KvFs.Core;
using KvFs.Grpc;
using KvFs.Protocol;
using KvFs.Protocol.Wire;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Pool.Tests;

/// <summary>A pool whose authority comes to have an older map, or none, with real processes.</summary>
public sealed class MapGuardTests
{
    private static readonly CancellationToken s_none = CancellationToken.None;

    [Fact]
    public async Task A_map_that_went_back_or_is_gone_is_refused_and_put_together_again_from_what_the_nodes_know()
    {
        await using PoolProcesses pool = await PoolProcesses.StartAsync(3);
        Assert.Equal(Status.Ok, (await pool.Admin.CreateDriveAsync(new("drive", DriveKind.FileSystem, 0, 0), s_none)).Status);
        await WriteAsync(pool, "before", 1);
        PoolMap old = (await pool.MapAsync())!;
        byte[] backup = await File.ReadAllBytesAsync(pool.MapPath);

        // The pool goes on: one that counts in the copy of the map lacks what is written behind it, and knows of no other map.
        int stale = pool.PrimaryOf("drive");
        int[] others = [.. Enumerable.Range(1, 3).Where(number => number != stale)];
        await pool.KillAsync(stale);
        await pool.MapThatAsync(map => map.Shards.All(shard => shard.InSync.Length == 2), "the dead one counts");
        await WriteAsync(pool, "behind", 2);
        foreach (int number in others) { await pool.KillAsync(number); }
        await File.WriteAllBytesAsync(pool.MapPath, backup);
        pool.Start(others[0]);
        pool.Start(stale);
        await RefusedAsync(pool, others[0], stale);

        // Not before all have told what they know, and not without a word.
        string[] rebuild = ["pool", "rebuild", "--authority", pool.AuthorityName, "--insecure"];
        Said missing = await Said.OfAsync([.. rebuild, "--yes"]);
        Assert.True(missing.Code == 8 && missing.Errors.Contains($"n{others[1]} did not answer", StringComparison.Ordinal), missing.ToString());
        pool.Start(others[1]);
        await RefusedAsync(pool, 1, 2, 3);
        Said status = await Said.OfAsync("pool", "status", "--authority", pool.AuthorityName, "--insecure");
        Assert.All((int[])[1, 2, 3], number => Assert.Contains($"Node n{number}: refuses the pool map", status.Output, StringComparison.Ordinal));
        Assert.Equal(8, (await Said.OfAsync(rebuild)).Code);
        Assert.Equal(old.Shards.AsEnumerable(), (await pool.MapAsync())!.Shards);
        Said rebuilt = await Said.OfAsync([.. rebuild, "--yes", "--output", "json"]);
        Assert.Equal(old.Revision, rebuilt.Json.GetProperty("before").GetUInt64());
        Assert.Equal(4, rebuilt.Json.GetProperty("shards").GetArrayLength());
        await pool.WholeAsync();
        await CheckAsync(pool);

        // None at all, while they run and after a start: the node that founded the pool founds no other one.
        PoolMap whole = (await pool.MapAsync())!;
        File.Delete(pool.MapPath);
        await pool.KillAsync(1);
        pool.Start(1);
        rebuild = [.. rebuild, "--server", string.Join(',', Enumerable.Range(1, 3).Select(pool.AddressOf)), "--yes", "--output", "json"];
        Said again = await PoolWorld.UntilAsync(
            async () => await Said.OfAsync(rebuild) is { Code: 0 } said ? said : null, () => $"the map is not rebuilt: {pool.Log}");
        Assert.Equal(JsonValueKind.Null, again.Json.GetProperty("before").ValueKind);
        Assert.Equal(whole.Pool, (await pool.MapAsync())!.Pool);
        await pool.WholeAsync();
        await CheckAsync(pool);
        Said nothing = await Said.OfAsync(rebuild);
        Assert.Contains("Nothing is to be rebuilt", nothing.Output, StringComparison.Ordinal);
    }

    /// <summary>Waits until nodes say that they refuse what stands there.</summary>
    private static async Task RefusedAsync(PoolProcesses pool, params int[] numbers)
    {
        foreach (int number in numbers)
        {
            await PoolWorld.UntilAsync(
                async () => await TryAskAsync(pool, number) is { Refusal.Length: > 0 } reply ? reply : null,
                () => $"n{number} does not refuse the map: {pool.Log}");
        }
    }

    private static async Task<V1.KnownMapReply?> TryAskAsync(PoolProcesses pool, int number)
    {
        try
        {
            return await pool.ChannelTo(number).UnaryAsync(PoolMethods.GetKnownMap, new(), new(), s_none);
        }
        catch (GrpcException)
        {
            // It does not listen yet.
            return null;
        }
    }

    private static async Task WriteAsync(PoolProcesses pool, string name, int seed)
    {
        await using DriveClient client = await OpenAsync(pool);
        await Files.WriteAsync(client, name, Files.Bytes(400_000, seed));
    }

    private static async Task CheckAsync(PoolProcesses pool)
    {
        await using DriveClient client = await OpenAsync(pool);
        Assert.Equal(Files.Bytes(400_000, 1), await Files.ReadAsync(client, "before"));
        Assert.Equal(Files.Bytes(400_000, 2), await Files.ReadAsync(client, "behind"));
    }

    private static Task<DriveClient> OpenAsync(PoolProcesses pool) => PoolWorld.UntilAsync(
        async () => await pool.Admin.OpenSessionAsync("drive", SessionAccess.Alone, s_none) is { IsOk: true } opened
            ? new DriveClient(opened.Value, new(), TimeProvider.System)
            : null,
        () => $"no session: {pool.Log}");
}
