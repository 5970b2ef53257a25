using System.Diagnostics;

namespace KvFs.Bench;

/// <summary>Workers each of which asks again as soon as it was answered.</summary>
internal static class ClosedLoop
{
    /// <summary>Runs workers for a while that does not count, and then for the time that does.</summary>
    /// <param name="steps">One for each worker: asks once, and answers how many operations that was. What it throws ends the run.</param>
    /// <param name="options">The times.</param>
    /// <param name="meter">Counts what the nodes use meanwhile.</param>
    public static async Task<LoopResult> RunAsync(IReadOnlyList<Func<ValueTask<int>>> steps, BenchOptions options, UsageMeter meter)
    {
        Stretch stretch = new();
        Task<(LatencyHistogram Latencies, long Operations)>[] workers =
            [.. steps.Select(step => Task.Run(() => WorkAsync(step, stretch)))];
        Task failing = FirstFailureAsync(workers, stretch);
        await Task.WhenAny(Task.Delay(options.Warm), failing);
        Usage before = await meter.ReadAsync();
        long began = Stopwatch.GetTimestamp();
        stretch.Begin();
        await Task.WhenAny(Task.Delay(options.Time), failing);
        stretch.End();
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        Usage used = (await meter.ReadAsync()) - before;
        LatencyHistogram all = new();
        long operations = 0;
        foreach ((LatencyHistogram latencies, long done) in await Task.WhenAll(workers))
        {
            all.Add(latencies);
            operations += done;
        }

        await failing;
        return new(took, operations, all, used);
    }

    private static async Task<(LatencyHistogram Latencies, long Operations)> WorkAsync(Func<ValueTask<int>> step, Stretch stretch)
    {
        LatencyHistogram latencies = new();
        long operations = 0;
        while (!stretch.IsOver)
        {
            bool counts = stretch.HasBegun;
            long began = Stopwatch.GetTimestamp();
            int done = await step();
            if (!counts || stretch.IsOver) { continue; }
            latencies.Add((long)Stopwatch.GetElapsedTime(began).TotalNanoseconds);
            operations += done;
        }

        return (latencies, operations);
    }

    /// <summary>Has all workers end when one fails.</summary>
    private static async Task FirstFailureAsync(IEnumerable<Task> workers, Stretch stretch)
    {
        await foreach (Task ended in Task.WhenEach(workers))
        {
            if (ended.IsCompletedSuccessfully) { continue; }
            stretch.End();
            await ended;
        }
    }

    /// <summary>Where a run is.</summary>
    private sealed class Stretch
    {
        private volatile bool begun;
        private volatile bool over;

        public bool HasBegun => begun;

        public bool IsOver => over;

        public void Begin() => begun = true;

        public void End() => over = true;
    }
}

/// <param name="Took">The time that counts.</param>
/// <param name="Operations">That began and ended in it.</param>
/// <param name="Latencies">Of requests; one may be several operations.</param>
/// <param name="Used">By the nodes, and by this process, in that time.</param>
internal sealed record LoopResult(TimeSpan Took, long Operations, LatencyHistogram Latencies, Usage Used);
