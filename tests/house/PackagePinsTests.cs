using KvFs.House.Tests.Rules;

namespace KvFs.House.Tests;

public sealed class PackagePinsTests
{
    private static IReadOnlyList<SourceFile> Projects =>
        [.. Repository.Files.Where(file => file.Extension is ".csproj" or ".props" && file.Path != PackagePins.PinFile)];

    [Fact]
    public void Every_pin_has_a_reason_and_an_exact_version() =>
        Report.Nothing(PackagePins.CheckReasons(Repository.Get(PackagePins.PinFile)));

    [Fact]
    public void Every_package_in_use_is_pinned_and_every_pin_is_in_use() =>
        Report.Nothing(PackagePins.CheckUse(Repository.Get(PackagePins.PinFile), Projects));

    [Fact]
    public void Every_project_has_a_lock_file() => Assert.All(
        Repository.Files.Where(ProjectArrows.IsProject),
        project => Assert.True(Repository.Exists($"{project.Folder}/packages.lock.json"), $"{project.Path} has no lock file"));

    [Fact]
    public void A_pin_without_a_reason_or_with_a_range_is_found()
    {
        string[] lines =
        [
            "<Project><ItemGroup>",
            "<!-- Why. -->",
            "<PackageVersion Include=\"A\" Version=\"1.2.3\" />",
            "<PackageVersion Include=\"B\" Version=\"1.2.3\" />",
            "<!-- Why. -->",
            "<PackageVersion Include=\"C\" Version=\"[1.2,2.0)\" />",
            "</ItemGroup></Project>",
        ];
        Report.Lines(PackagePins.CheckReasons(new(PackagePins.PinFile, string.Join('\n', lines))), 4, 6);
    }

    [Fact]
    public void An_unused_pin_an_unpinned_use_and_a_version_of_ones_own_are_found()
    {
        SourceFile pins = new(PackagePins.PinFile, Item("PackageVersion", "A"));
        SourceFile project = new("a/A.csproj", Item("PackageReference", "B"));
        Assert.Equal(
            ["A is pinned, and no project uses it", "B is used, and not pinned here", "B: versions stand in Directory.Packages.props"],
            PackagePins.CheckUse(pins, [project]).Select(finding => finding.Message));
    }

    private static string Item(string element, string name) =>
        $"<Project><ItemGroup><{element} Include=\"{name}\" Version=\"1.0.0\" /></ItemGroup></Project>";
}
