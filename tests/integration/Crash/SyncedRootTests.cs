using KvFs.Integration.Tests.Drives;

namespace KvFs.Integration.Tests.Crash;

/// <summary>An fsync of a mount's root makes everything durable that was written before it: the kernel does not tell a mount of syncfs(2).
/// </summary>
public sealed class SyncedRootTests
{
    private const int Files = 50;

    [Fact]
    public async Task What_was_written_before_an_fsync_of_the_root_is_there_after_a_kill()
    {
        using TestFolder folder = new();
        using (Victim victim = await Victim.StartAsync(folder))
        {
            for (int at = 0; at < Files; at++)
            {
                string into = Path.Combine(folder.Mount, $"d{at % 5}");
                Directory.CreateDirectory(into);
                await File.WriteAllBytesAsync(Path.Combine(into, $"f{at}"), Content(at));
            }

            RealProgram.Run(folder.Mount, "sync", folder.Mount);
            victim.Kill();
        }

        using Victim next = await Victim.StartAsync(folder);
        for (int at = 0; at < Files; at++)
        {
            Assert.Equal(Content(at), await File.ReadAllBytesAsync(Path.Combine(folder.Mount, $"d{at % 5}", $"f{at}")));
        }

        await next.StopAsync();
    }

    private static byte[] Content(int seed)
    {
        byte[] content = new byte[100_000];
        new Random(seed).NextBytes(content);
        return content;
    }
}
