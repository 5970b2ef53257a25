using System.Net;

namespace KvFs.Pki.Tests.Support;

/// <summary>Random names and requests, all of them allowed.</summary>
internal static class RandomRequests
{
    private const string LettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";

    public static string NextName(this Random random, int most)
    {
        char[] name = new char[random.Next(1, most + 1)];
        for (int at = 0; at < name.Length; at++)
        {
            bool isInside = at > 0 && at < name.Length - 1 && name[at - 1] is not ('-' or '.');
            name[at] = isInside && random.Next(6) == 0 ? "-."[random.Next(2)] : LettersAndDigits[random.Next(LettersAndDigits.Length)];
        }
        return new string(name);
    }

    public static string NextDnsName(this Random random) =>
        $"{(random.Next(5) == 0 ? "*." : "")}{random.NextName(40)}.x{random.NextName(20).Replace('.', 'o')}";

    public static IPAddress NextAddress(this Random random)
    {
        byte[] bytes = new byte[random.Next(2) == 0 ? 4 : 16];
        random.NextBytes(bytes);
        return new IPAddress(bytes);
    }

    public static PeerIdentity NextIdentity(this Random random, string pool) =>
        new(pool, (PeerRole)random.Next(5), random.NextName(random.Next(4) == 0 ? 253 : 30));

    public static LeafRequest NextRequest(this Random random, string pool) => new()
    {
        Identity = random.NextIdentity(pool),
        DnsNames = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.NextDnsName())],
        Addresses = [.. Enumerable.Range(0, random.Next(3)).Select(_ => random.NextAddress())],
        Usages = (PeerUsages)random.Next(1, 4),
        Validity = TimeSpan.FromMinutes(random.NextInt64(1, 20 * 365 * 24 * 60)),
    };
}
