using System.Xml.Linq;

namespace KvFs.House.Tests.Rules;

/// <summary>Which project may refer to which: design section 3, arrow for arrow.</summary>
/// <remarks>What a project reaches through another one it does not name itself, unless the design draws that arrow too.</remarks>
public static class ProjectArrows
{
    /// <summary>Folder of a project → folders it may name. A new project is added here together with the design.</summary>
    public static IReadOnlyDictionary<string, string[]> Allowed { get; } = new SortedDictionary<string, string[]>
    {
        ["lib/core"] = [],
        ["lib/protocol"] = ["lib/core", "lib/grpc", "lib/direct"],
        ["lib/direct"] = ["lib/core", "lib/grpc", "lib/memory"],
        ["lib/authority"] = ["lib/core"],
        ["lib/client"] = ["lib/memory", "lib/protocol"],
        ["lib/mount"] = ["lib/client", "lib/memory"],
        ["node"] = ["lib/protocol", "lib/authority", "lib/memory", "lib/rocksdb", "lib/peers"],
        ["cli"] = ["lib/client", "lib/mount", "lib/authority", "node", "lib/peers", "lib/pki"],
        ["bench/library"] = ["lib/client", "lib/peers"],
        ["lib/rocksdb"] = [],
        ["lib/grpc"] = [],
        ["lib/kubernetes"] = [],
        ["lib/memory"] = [],
        ["lib/metrics"] = [],
        ["lib/pki"] = [],
        ["lib/peers"] = ["lib/grpc", "lib/pki"],
    };

    /// <summary>Libraries that stand in for a public package: each is useful without KvFs.</summary>
    public static IReadOnlyList<string> StandIns { get; } = ["lib/rocksdb", "lib/grpc", "lib/kubernetes", "lib/metrics"];

    /// <summary>Programs may use any stand-in, for the edge where they meet the outside.</summary>
    private static readonly string[] Programs = ["node", "cli"];

    public static bool IsProject(SourceFile file) => file.Extension == ".csproj";

    public static IEnumerable<Finding> Check(SourceFile project)
    {
        if (SourceRules.IsTest(project)) { yield break; }
        if (!Allowed.TryGetValue(project.Folder, out string[]? allowed))
        {
            yield return new(project.Path, 1, "no arrows are drawn for this project: see ProjectArrows and the design, section 3");
            yield break;
        }
        foreach (string target in References(project))
        {
            bool isStandIn = StandIns.Contains(target) && Programs.Contains(project.Folder);
            if (allowed.Contains(target) || isStandIn) { continue; }
            yield return new(project.Path, LineOf(project, target), $"may not refer to {target}");
        }
    }

    public static IEnumerable<Finding> CheckSolution(SourceFile solution, IEnumerable<SourceFile> projects)
    {
        string listed = solution.Text.Replace('\\', '/');
        return projects
            .Where(project => !listed.Contains($"\"{project.Path}\"", StringComparison.Ordinal))
            .Select(project => new Finding(project.Path, 1, $"is not in {solution.Path}, so nobody builds it"));
    }

    /// <summary>The folders of the projects that a project names.</summary>
    private static IEnumerable<string> References(SourceFile project) => XDocument.Parse(project.Text)
        .Descendants("ProjectReference")
        .Select(reference => Resolve(project.Folder, (string?)reference.Attribute("Include") ?? string.Empty));

    private static string Resolve(string folder, string include)
    {
        string full = Path.GetFullPath(Path.Combine("/", folder, include.Replace('\\', '/')));
        return Path.GetDirectoryName(full)!.TrimStart('/');
    }

    private static int LineOf(SourceFile project, string target)
    {
        string name = target.Split('/')[^1];
        int line = Array.FindIndex(project.Lines, text =>
            text.Contains("ProjectReference", StringComparison.Ordinal) && text.Contains($"{name}/", StringComparison.Ordinal));
        return line + 1;
    }
}
