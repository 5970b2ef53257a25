using System.Globalization;
using System.Text.RegularExpressions;
using KvFs.Core;

namespace KvFs.Remote.Tests;

/// <summary>Which VNodes and versions of one drive stand for which of another that went through the same.</summary>
internal sealed partial class AnswerPairs
{
    /// <summary>An id that no drive of a test comes to.</summary>
    private const ulong Nowhere = 1UL << 40;

    private readonly Dictionary<ulong, ulong> nodes = new() { [0] = 0, [VNodeId.Root.Value] = VNodeId.Root.Value };
    private readonly Dictionary<ulong, ulong> back = new() { [0] = 0, [VNodeId.Root.Value] = VNodeId.Root.Value };
    private readonly Dictionary<CowNumber, CowNumber> versions = new() { [CowNumber.Head] = CowNumber.Head };

    public void Add(CowNumber here, CowNumber there) => versions.Add(here, there);

    public void Add(VNodeId here, VNodeId there, uint count)
    {
        for (ulong at = 0; at < count; at++) { Pair(here.Value + at, there.Value + at); }
    }

    public VNodeId Of(VNodeId here) => new(nodes.TryGetValue(here.Value, out ulong there) ? there : here.Value + Nowhere);

    public CowNumber Of(CowNumber here) => versions[here];

    /// <summary>Whether two answers tell the same of VNodes that are a pair, or may become one; else what differs.</summary>
    public string? Differ(string here, string there)
    {
        here = Removed().Replace(here, "removed");
        there = Removed().Replace(there, "removed");
        MatchCollection ids = NodeIds().Matches(here);
        MatchCollection others = NodeIds().Matches(there);
        string text = Plain(here);
        string other = Plain(there);
        if (text != other || ids.Count != others.Count) { return $"{text}\n{other}"; }
        for (int at = 0; at < ids.Count; at++)
        {
            (ulong id, ulong twin) = (Number(ids[at]), Number(others[at]));
            if (!Pair(id, twin)) { return $"{id} is no pair of {twin}: {here}\n{there}"; }
        }

        return null;
    }

    private bool Pair(ulong here, ulong there)
    {
        bool isNew = nodes.TryAdd(here, there) & back.TryAdd(there, here);
        return isNew || (nodes.GetValueOrDefault(here) == there && back.GetValueOrDefault(there) == here);
    }

    /// <summary>Without the numbers of VNodes and versions.</summary>
    private static string Plain(string answer) =>
        Versions().Replace(NodeIds().Replace(answer, "$1 = id"), "$1 = version");

    private static ulong Number(Match match) => ulong.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\b(Id|Parent|Child) = (\d+)")]
    private static partial Regex NodeIds();

    [GeneratedRegex(@"\b(Version|DataVersion|At) = (\d+)")]
    private static partial Regex Versions();

    [GeneratedRegex(@"VNode = VNode \{((?!UnlinkResult).)*?IsDirectory = \w+ \}, Version = \w+ \}, Removed = True, Orphaned = False, NeedsReaping = \w+")]
    private static partial Regex Removed();
}
