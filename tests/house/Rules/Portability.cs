using System.Text.RegularExpressions;

namespace KvFs.House.Tests.Rules;

/// <summary>The repository must mean the same on every machine: no paths of the one it was written on, and no package
/// sources, which are each user's own setting.</summary>
public static class Portability
{
    // In parts, or this file would be its own first finding.
    private static readonly string[] MachinePaths =
        ["/wo" + "rk/", "/tmp/k" + "v/", @"/ho" + "me/[a-z]", "/Us" + "ers/[a-z]", @"[A-Z]:\\Us" + "ers"];

    private static readonly string[] PackageHosts =
    [
        @"nuget\." + "org", @"npmjs\." + "org", @"pypi\." + "org", @"crates\." + "io", @"proxy\.golang\." + "org",
        @"deb\.debian\." + "org", @"pkgs\.dev\.azure\." + "com", "/v3/index" + @"\.json", @"registry-1\.docker\." + "io",
    ];

    public static IEnumerable<Finding> Check(SourceFile file) =>
        Find(file, MachinePaths, @"(?<![\w.~}])", "a path of one machine")
            .Concat(Find(file, PackageHosts, string.Empty, "a package source: these are each user's own setting"));

    private static IEnumerable<Finding> Find(SourceFile file, string[] patterns, string before, string message) =>
        Regex.Matches(file.Text, $"{before}(?:{string.Join('|', patterns)})")
            .Select(match => new Finding(file.Path, CSharpText.LineOf(file.Text, match.Index), message));
}
