using System.Globalization;
using KvFs.Core;

namespace KvFs.Authority.Tests;

/// <summary>A process of its own that changes the map in a file again and again, and says each revision once it stands
/// there.</summary>
/// <remarks>Arguments: the file; the node whose weight counts the changes; how many changes, 0: until it is
/// killed.</remarks>
internal static class MapWriter
{
    private static async Task<int> Main(string[] arguments)
    {
        int node = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        int changes = int.Parse(arguments[2], CultureInfo.InvariantCulture);
        await using FileAuthority authority = new(arguments[0]);
        PoolMap map = (await authority.ReadAsync(CancellationToken.None)).Map!;
        for (int done = 0; changes == 0 || done < changes;)
        {
            PoolNode before = map.Find(new NodeId((uint)node))!;
            uint weight = (before.Weight % PoolLimits.MaxWeight) + 1;
            PoolMap next = PoolMapChange.Describe(map, before.Id, before.Addresses, before.Zone, weight).Map!;
            AuthorityAnswer answer = await authority.CompareAndSwapAsync(map.Revision, next, CancellationToken.None);
            if (answer.Map is null)
            {
                await Console.Error.WriteLineAsync($"{answer.Outcome}: {answer.Reason}");
                return 1;
            }

            map = answer.Map;
            if (answer.Outcome != AuthorityOutcome.Ok) { continue; }
            done++;
            await Console.Out.WriteLineAsync(map.Revision.ToString(CultureInfo.InvariantCulture));
        }

        return 0;
    }
}
