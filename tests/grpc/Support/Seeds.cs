using System.Globalization;

namespace KvFs.Grpc.Tests.Support;

/// <summary>Seeds of random tests. A failure prints its seed; <c>KVFS_SEED</c> repeats it.</summary>
internal static class Seeds
{
    public static int Next() =>
        Environment.GetEnvironmentVariable("KVFS_SEED") is { Length: > 0 } given
            ? int.Parse(given, CultureInfo.InvariantCulture)
            : Random.Shared.Next();
}
