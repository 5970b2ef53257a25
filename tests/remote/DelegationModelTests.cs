using System.Text;
using KvFs.Client;
using KvFs.Core;
using KvFs.Protocol;
using Xunit.Abstractions;

namespace KvFs.Remote.Tests;

/// <summary>Several clients that share a drive, each with memories of its own, do one thing after the other: it is as if there were one.</summary>
public sealed class DelegationModelTests(ITestOutputHelper output)
{
    private const int Clients = 3;
    private const int Names = 4;
    private const int Steps = 1500;
    private const int MaxBytes = 300_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Whatever_they_do_one_after_the_other_each_sees_what_all_did_before(int seed)
    {
        Random random = new(seed);
        await using RemoteWorld world = await RemoteWorld.StartAsync();
        Life[] lives = new Life[Clients];
        Dictionary<string, Content> files = [];
        for (int at = 0; at < Clients; at++)
        {
            IDriveSession session = await world.OpenAsync(SessionAccess.Shared);
            lives[at] = new(new(SessionMemory.Around(session, TimeProvider.System), new() { DirtyAge = TimeSpan.FromMilliseconds(50) }, TimeProvider.System));
        }

        int mostLeft = 0;
        for (int step = 0; step < Steps; step++)
        {
            Life life = lives[random.Next(Clients)];
            string name = $"f{random.Next(Names)}";
            try
            {
                await StepAsync(life, name, files, random);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}, step {step}, file {name}: {e.Message}", e);
            }

            mostLeft = Math.Max(mostLeft, world.Node.Host.Find(RemoteWorld.Drive)!.Writes.Count);
        }

        foreach (Life life in lives) { await life.Client.DisposeAsync(); }
        Assert.Equal(0, world.Node.Host.Find(RemoteWorld.Drive)!.Writes.Count);
        Assert.True(mostLeft > 1);
        output.WriteLine($"up to {mostLeft} files were left with somebody");
    }

    private static async Task StepAsync(Life life, string name, Dictionary<string, Content> files, Random random)
    {
        DriveClient client = life.Client;
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        Content? known = files.GetValueOrDefault(name);
        (OpenFile File, Content Content)? open = life.Open.Count == 0 ? null : life.Open[random.Next(life.Open.Count)];
        switch (random.Next(12))
        {
            case 0:
                ValueTask<Reply<CreatedFile>> creating = client.CreateOpenAsync(new() { Parent = VNodeId.Root, Name = bytes, Kind = VNodeKind.File, Mode = 0x1A4 });
                Reply<CreatedFile> made = await creating;
                Assert.Equal(known is null ? Status.Ok : Status.Exists, made.Status);
                if (made.IsOk) { life.Open.Add((made.Value.File, files[name] = new())); }
                break;
            case 1 or 2:
                Reply<NodeInfo> found = await client.LookupAsync(VNodeId.Root, bytes, CowNumber.Head);
                Assert.Equal(known is null ? Status.NotFound : Status.Ok, found.Status);
                if (known is null) { break; }
                Assert.Equal((ulong)known.Bytes.Length, found.Value.VNode.Size);
                Reply<OpenFile> opened = await client.OpenAsync(found.Value.Id, CowNumber.Head);
                Assert.Equal(Status.Ok, opened.Status);
                life.Open.Add((opened.Value, known));
                break;
            case 3 when open is { } closing:
                life.Open.Remove(closing);
                Assert.Equal(Status.Ok, await client.CloseAsync(closing.File));
                break;
            case 4 or 5 or 6 when open is { } written:
                byte[] data = new byte[random.Next(10) == 0 ? 1 + random.Next(80_000) : 1 + random.Next(2000)];
                random.NextBytes(data);
                bool appends = random.Next(3) == 0;
                int at = appends ? written.Content.Bytes.Length : random.Next(Math.Min(written.Content.Bytes.Length + 1000, MaxBytes));

                // An append says what the kernel believes, which is not what is.
                Reply<int> done = await client.WriteAsync(written.File, appends ? 0 : (ulong)at, data, new(false, false, appends));
                Assert.Equal(Reply.Ok(data.Length), done);
                written.Content.Write(at, data);
                break;
            case 7 or 8 when open is { } read:
                byte[] buffer = new byte[MaxBytes * 2];
                int from = random.Next(read.Content.Bytes.Length + 100);
                Reply<int> got = await client.ReadAsync(read.File, (ulong)from, buffer);
                byte[] expected = from < read.Content.Bytes.Length ? read.Content.Bytes[from..] : [];
                Assert.Equal(Reply.Ok(expected.Length), got);
                Assert.True(expected.AsSpan().SequenceEqual(buffer.AsSpan(0, got.Value)));
                break;
            case 9 when open is { } cut:
                int size = random.Next(Math.Min(cut.Content.Bytes.Length + 5000, MaxBytes));
                Reply<NodeInfo> shorter = await client.SetAttributesAsync(new() { Node = cut.File.Id, Mask = AttributeMask.Size, Size = (ulong)size });
                Assert.Equal(Status.Ok, shorter.Status);
                Assert.Equal((ulong)size, shorter.Value.VNode.Size);
                cut.Content.Resize(size);
                break;
            case 10 when known is not null:
                if (random.Next(3) == 0)
                {
                    ValueTask<Reply<UnlinkResult>> unlinking = client.UnlinkAsync(new() { Parent = VNodeId.Root, Name = bytes });
                    Assert.Equal(Status.Ok, (await unlinking).Status);
                    files.Remove(name);
                    break;
                }

                ValueTask<Reply<UnlinkResult>> renaming = client.RenameAsync(
                    new() { OldParent = VNodeId.Root, OldName = bytes, NewParent = VNodeId.Root, NewName = "f0"u8 });
                Assert.Equal(Status.Ok, (await renaming).Status);
                files.Remove(name);
                files["f0"] = known;
                break;
            default:
                DirectoryPage page = new();
                Assert.Equal(Status.Ok, await client.Session.ReadDirectoryAsync(VNodeId.Root, CowNumber.Head, 0, 100, withNodes: true, page));
                Dictionary<string, ulong> sizes = Enumerable.Range(0, page.Count).ToDictionary(
                    entry => Encoding.UTF8.GetString(page.Name(entry)), entry => client.Merge(page.Info(entry)).VNode.Size);
                Assert.Equal(files.OrderBy(static file => file.Key).Select(static file => (file.Key, (ulong)file.Value.Bytes.Length)),
                    sizes.OrderBy(static file => file.Key).Select(static file => (file.Key, file.Value)));
                break;
        }
    }

    private sealed record Life(DriveClient Client)
    {
        public List<(OpenFile File, Content Content)> Open { get; } = [];
    }

    private sealed class Content
    {
        public byte[] Bytes { get; private set; } = [];

        public void Resize(int size)
        {
            byte[] bytes = Bytes;
            Array.Resize(ref bytes, size);
            Bytes = bytes;
        }

        public void Write(int at, byte[] data)
        {
            if (at + data.Length > Bytes.Length) { Resize(at + data.Length); }
            data.CopyTo(Bytes, at);
        }
    }
}
