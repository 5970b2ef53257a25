using KvFs.Cli.Bench;
using KvFs.Cli.Control;

namespace KvFs.Cli.Tests.Bench;

public sealed class BenchRunTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void It_measures_every_step_and_leaves_nothing_behind()
    {
        Silence silence = new();
        BenchRun run = new(folder.Path, new BenchPlan(2 << 20, 10), silence, CancellationToken.None);
        var figures = run.Measure();
        Assert.Equal(9, figures.Count);
        Assert.All(figures, figure => Assert.True(figure.Value > 0));
        Assert.Equal(figures.Count, figures.Select(figure => figure.Step).Distinct().Count());
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
        Assert.NotEqual(0, silence.Count);
    }

    [Fact]
    public void An_end_in_the_middle_leaves_nothing_behind()
    {
        using CancellationTokenSource source = new();
        Silence silence = new() { OnReport = source.Cancel };
        BenchRun run = new(folder.Path, new BenchPlan(2 << 20, 10), silence, source.Token);
        Assert.Throws<OperationCanceledException>(() => run.Measure());
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private sealed class Silence : IProgress<ProgressReport>
    {
        public int Count { get; private set; }

        public Action? OnReport { get; init; }

        public void Report(ProgressReport value)
        {
            Count++;
            OnReport?.Invoke();
        }
    }
}
