using System.Globalization;

namespace KvFs.Pki.Tests.Support;

/// <summary>Seeds of random tests. A failure prints its seed; <c>KVFS_SEED</c> repeats it.</summary>
internal static class Seeds
{
    /// <summary>Runs a check under a seed that the failure names.</summary>
    public static void Run(int rounds, Action<Random> check)
    {
        int seed = Environment.GetEnvironmentVariable("KVFS_SEED") is { Length: > 0 } given
            ? int.Parse(given, CultureInfo.InvariantCulture)
            : Random.Shared.Next();
        Random random = new(seed);
        for (int round = 0; round < rounds; round++)
        {
            try
            {
                check(random);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"KVFS_SEED={seed}, round {round}: {e.Message}", e);
            }
        }
    }

    /// <summary>Changes some bytes: overwrites, removes, repeats, cuts.</summary>
    public static byte[] Mutate(this Random random, byte[] bytes)
    {
        List<byte> changed = [.. bytes];
        for (int changes = random.Next(1, 5); changes > 0 && changed.Count > 0; changes--)
        {
            int at = random.Next(changed.Count);
            int length = random.Next(1, Math.Min(40, changed.Count - at) + 1);
            switch (random.Next(5))
            {
                case 0: changed[at] = (byte)random.Next(256); break;
                case 1: changed[at] ^= (byte)(1 << random.Next(8)); break;
                case 2: changed.RemoveRange(at, length); break;
                case 3: changed.InsertRange(at, changed.GetRange(at, length)); break;
                default: changed.RemoveRange(at, random.Next(20) == 0 ? changed.Count - at : 1); break;
            }
        }
        return [.. changed];
    }
}
