using KvFs.House.Tests.Rules;

namespace KvFs.House.Tests;

public sealed class ProjectArrowsTests
{
    private static IEnumerable<SourceFile> Projects => Repository.Files.Where(ProjectArrows.IsProject);

    [Fact]
    public void Every_arrow_between_projects_is_one_that_the_design_draws() =>
        Report.Nothing(Projects.SelectMany(ProjectArrows.Check));

    [Fact]
    public void Every_project_is_in_the_solution() =>
        Report.Nothing(ProjectArrows.CheckSolution(Repository.Get("KvFs.sln"), Projects));

    [Fact]
    public void Every_stand_in_library_says_what_it_stands_in_for() =>
        Assert.All(ProjectArrows.StandIns.Where(Repository.Exists), folder =>
            Assert.True(Repository.Exists($"{folder}/README.md"), $"{folder} has no README.md"));

    [Theory]
    [InlineData("lib/core/A.csproj", "../protocol/P.csproj")]
    [InlineData("lib/mount/A.csproj", "../core/C.csproj")]
    [InlineData("lib/rocksdb/A.csproj", "../core/C.csproj")]
    [InlineData("lib/pki/A.csproj", "../core/C.csproj")]
    [InlineData("lib/pki/A.csproj", "../grpc/G.csproj")]
    [InlineData("lib/grpc/A.csproj", "../pki/P.csproj")]
    [InlineData("lib/peers/A.csproj", "../protocol/P.csproj")]
    [InlineData("lib/client/A.csproj", "../../node/N.csproj")]
    [InlineData("lib/client/A.csproj", "../authority/A.csproj")]
    [InlineData("lib/authority/A.csproj", "../grpc/G.csproj")]
    [InlineData("lib/client/A.csproj", "..\\rocksdb\\R.csproj")]
    [InlineData("node/A.csproj", "../lib/core/C.csproj")]
    [InlineData("node/A.csproj", "../lib/mount/M.csproj")]
    [InlineData("cli/A.csproj", "../lib/protocol/P.csproj")]
    [InlineData("bench/library/A.csproj", "../../node/N.csproj")]
    public void A_planted_arrow_is_found(string path, string reference) =>
        Assert.Single(ProjectArrows.Check(Project(path, reference)));

    [Theory]
    [InlineData("lib/mount/A.csproj", "../client/C.csproj")]
    [InlineData("node/A.csproj", "../lib/metrics/M.csproj")]
    [InlineData("lib/protocol/A.csproj", "../grpc/G.csproj")]
    [InlineData("node/A.csproj", "../lib/authority/A.csproj")]
    [InlineData("lib/authority/A.csproj", "../core/C.csproj")]
    [InlineData("tests/node/A.csproj", "../../lib/mount/M.csproj")]
    public void An_arrow_that_the_design_draws_is_left_alone(string path, string reference) =>
        Report.Nothing(ProjectArrows.Check(Project(path, reference)));

    [Fact]
    public void A_project_that_the_design_does_not_know_is_found() =>
        Report.Lines(ProjectArrows.Check(Project("lib/other/A.csproj", "../core/C.csproj")), 1);

    [Fact]
    public void A_project_outside_the_solution_is_found()
    {
        SourceFile solution = new("KvFs.sln", "Project(\"{1}\") = \"A\", \"lib\\a\\A.csproj\", \"{2}\"");
        Finding only = Assert.Single(
            ProjectArrows.CheckSolution(solution, [new("lib/a/A.csproj", ""), new("lib/b/A.csproj", "")]));
        Assert.Equal("lib/b/A.csproj", only.Path);
    }

    private static SourceFile Project(string path, string reference) =>
        new(path, $"<Project><ItemGroup><ProjectReference Include=\"{reference}\" /></ItemGroup></Project>");
}
