using System.Text.RegularExpressions;

namespace KvFs.House.Tests.Rules;

/// <summary>What the banned-API analyzer cannot see in lib/core: locks, which need no named API, and loops over collections
/// that have no order.</summary>
/// <remarks>Reads one file at a time by name, not by type: a collection that is declared in one file and enumerated in another
/// is seen only if both use <c>.Keys</c> or <c>.Values</c>.</remarks>
public static class CorePurity
{
    public const string Folder = "lib/core/";

    private static readonly CodePattern[] Locks =
    [
        new(@"\block\s*\(", "core has one owner per state, and no locks", AllowsReasons: false),
        new(@"\b(Monitor|Interlocked|Volatile)\s*\.", "core has one owner per state, and no threads", AllowsReasons: false),
        new(@"\b(Lock|SemaphoreSlim|Mutex|ReaderWriterLockSlim|SpinLock)\b\s*(\?\s*)?\w+\s*[=;({]|\bnew\s+Lock\b",
            "core has one owner per state, and no locks", AllowsReasons: false),
        new(@"\bvolatile\b", "core has one owner per state, and no threads", AllowsReasons: false),
        new(@"\basync\b|\bawait\b", "core has no tasks: a decision is a function", AllowsReasons: false),
        new(@"\[\s*(ThreadStatic|MethodImpl\s*\(\s*MethodImplOptions\.Synchronized)", "core has no threads",
            AllowsReasons: false),
    ];

    private const string Unordered =
        @"(?<!\w)(?:I|IReadOnly|Immutable|Frozen|Concurrent)?(?:Dictionary|HashSet|Set)<";

    /// <summary>Calls whose outcome depends on the order, as a member of an unordered collection.</summary>
    private const string OrderedCalls =
        "Select|SelectMany|Where|First|FirstOrDefault|Last|LastOrDefault|ElementAt|ToList|ToArray|ToImmutableArray|Aggregate"
        + "|Take|Skip|Zip|Concat|GetEnumerator|CopyTo|Append|Prepend|Cast|OfType|Chunk";

    /// <summary>What follows an enumeration whose order does not matter.</summary>
    private const string HarmlessTail = @"(?!\s*\.\s*(?:Order\w*|Count|Sum|Any|All|Max|Min|Contains|ToHashSet)\b)";

    public static IEnumerable<Finding> CheckLocks(SourceFile file) => Locks.SelectMany(pattern => pattern.Check(file));

    public static IEnumerable<Finding> CheckOrder(SourceFile file)
    {
        string code = CSharpText.CodeOf(file.Text);
        List<string> patterns = [.. UnorderedNames(code).Select(Enumeration)];
        return patterns
            .SelectMany(pattern => new CodePattern(pattern, "the order of a hash table reaches an outcome: sort first").Check(file))
            .DistinctBy(finding => finding.Line);
    }

    /// <summary>Names declared in this code as a dictionary or a set without order.</summary>
    private static HashSet<string> UnorderedNames(string code)
    {
        HashSet<string> names = [];
        foreach (Match match in Regex.Matches(code, Unordered))
        {
            int end = AfterTypeArguments(code, match.Index + match.Length);
            Match declared = Regex.Match(code[end..], @"^\s*\??\s+(\w+)");
            if (declared.Success) { names.Add(declared.Groups[1].Value); }
            Match assigned = Regex.Match(code[..match.Index], @"\bvar\s+(\w+)\s*=\s*new\s+$");
            if (assigned.Success) { names.Add(assigned.Groups[1].Value); }
        }
        return names;
    }

    private static int AfterTypeArguments(string code, int at)
    {
        for (int depth = 1; at < code.Length && depth > 0; at++)
        {
            depth += code[at] switch { '<' => 1, '>' => -1, _ => 0 };
        }
        return at;
    }

    private static string Enumeration(string name) =>
        $@"\bin\s+(?:this\.)?{name}\s*\)"
        + $@"|(?<![\w.])(?:this\.)?{name}\s*\.\s*(?:Keys|Values)\b{HarmlessTail}(?!\s*\.\s*(?:Where|Select)\()"
        + $@"|(?<![\w.])(?:this\.)?{name}(?:\s*\.\s*(?:Keys|Values))?\s*\.\s*(?:{OrderedCalls})\s*\("
        + $@"|\.\.\s*(?:this\.)?{name}\b(?!\s*[.\[])"
        + $@"|\bAddRange\(\s*(?:this\.)?{name}\s*\)";
}
