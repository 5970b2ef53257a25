using System.Globalization;

namespace KvFs.Protocol.Tests.Support;

/// <summary>Seeds of random tests. A failure prints its seed; <c>KVFS_SEED</c> repeats it.</summary>
internal static class Seeds
{
    public static int Next() =>
        Environment.GetEnvironmentVariable("KVFS_SEED") is { Length: > 0 } given
            ? int.Parse(given, CultureInfo.InvariantCulture)
            : Random.Shared.Next();

    /// <summary>Runs a test with a seed, which its failure names.</summary>
    public static async Task RunAsync(Func<Random, Task> test)
    {
        int seed = Next();
        try
        {
            await test(new Random(seed));
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"KVFS_SEED={seed}: {e.Message}", e);
        }
    }
}
