using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace KvFs.House.Tests.Rules;

/// <summary>Packages are pinned in one place, exactly, each with the reason why it is used; and no pin outlives its use.</summary>
public static class PackagePins
{
    public const string PinFile = "Directory.Packages.props";

    public static IEnumerable<Finding> CheckReasons(SourceFile pins)
    {
        string[] lines = pins.Lines;
        for (int index = 0; index < lines.Length; index++)
        {
            if (!lines[index].Contains("<PackageVersion ", StringComparison.Ordinal)) { continue; }
            string before = index > 0 ? lines[index - 1].Trim() : string.Empty;
            if (!before.EndsWith("-->", StringComparison.Ordinal))
            {
                yield return new(pins.Path, index + 1, "no comment above it says why this package is used");
            }
            if (!Regex.IsMatch(lines[index], "Version=\"[0-9]+(\\.[0-9]+){1,3}(-[A-Za-z0-9.]+)?\""))
            {
                yield return new(pins.Path, index + 1, "not an exact version");
            }
        }
    }

    public static IEnumerable<Finding> CheckUse(SourceFile pins, IReadOnlyList<SourceFile> projects)
    {
        string[] pinned = [.. Names(pins, "PackageVersion")];
        string[] used = [.. projects.SelectMany(project => Names(project, "PackageReference")).Distinct()];
        return pinned.Except(used).Select(name => new Finding(pins.Path, 1, $"{name} is pinned, and no project uses it"))
            .Concat(used.Except(pinned).Select(name => new Finding(pins.Path, 1, $"{name} is used, and not pinned here")))
            .Concat(projects.SelectMany(OwnVersions));
    }

    private static IEnumerable<Finding> OwnVersions(SourceFile project) => XDocument.Parse(project.Text)
        .Descendants("PackageReference")
        .Where(item => item.Attribute("Version") is not null || item.Attribute("VersionOverride") is not null)
        .Select(item => new Finding(project.Path, 1, $"{(string?)item.Attribute("Include")}: versions stand in {PinFile}"));

    private static IEnumerable<string> Names(SourceFile file, string element) => XDocument.Parse(file.Text)
        .Descendants(element)
        .Select(item => (string?)item.Attribute("Include"))
        .OfType<string>();
}
