namespace KvFs.Simulation.Pool;

/// <summary>An append to a shard's list, or a read of all of it.</summary>
internal sealed class PoolOperation
{
    public required int Shard { get; init; }

    /// <summary>What was appended; 0: it was a read.</summary>
    public required long Value { get; init; }

    public required TimeSpan Began { get; init; }

    /// <summary>When the answer came; null: it never did, and nobody knows whether it happened.</summary>
    public TimeSpan? Ended { get; set; }

    /// <summary>The answer promised that it is on disk.</summary>
    public bool IsDurable { get; set; }

    /// <summary>A later answer said that it is gone.</summary>
    public bool IsToldLost { get; set; }

    /// <summary>What a read saw.</summary>
    public ReadOnlyMemory<long> Seen { get; set; }
}

/// <summary>Whether what clients of lists saw could have happened one operation after the other, each between its beginning
/// and its end.</summary>
/// <remarks>Exact, because every read shows the order of all appends before it: what was read must be beginnings of one list;
/// and an order in which that list grows exists exactly if (1) nothing was read before its append began, (2) what was answered
/// before a read began is in it, (3) of two appends the one that was answered before the other began is first, and (4) a read
/// that began after another had ended does not see less. Source for the idea: lists make histories traceable (Elle, 2020).
/// </remarks>
internal static class PoolHistory
{
    /// <summary>What is wrong; null: nothing.</summary>
    /// <param name="operations">All of one shard.</param>
    /// <param name="final">The list at the end.</param>
    public static string? Check(IReadOnlyCollection<PoolOperation> operations, IReadOnlyList<long> final)
    {
        Dictionary<long, int> places = [];
        for (int at = 0; at < final.Count; at++)
        {
            if (!places.TryAdd(final[at], at)) { return $"{final[at]} is there twice"; }
        }

        Dictionary<long, PoolOperation> appends = operations.Where(static one => one.Value != 0).ToDictionary(static one => one.Value);
        foreach (long value in final)
        {
            if (!appends.ContainsKey(value)) { return $"{value} was never appended"; }
        }

        foreach (PoolOperation read in operations.Where(static one => one.Value == 0 && one.Ended is not null))
        {
            if (read.Seen.Length > final.Count || !read.Seen.Span.SequenceEqual(final.Take(read.Seen.Length).ToArray()))
            {
                return $"a read that ended at {read.Ended} saw what is no beginning of the list";
            }

            if (read.Seen.Length > 0 && appends[read.Seen.Span[^1]].Began > read.Ended)
            {
                return $"a read that ended at {read.Ended} saw {read.Seen.Span[^1]} before it was appended";
            }
        }

        return CheckOrder(operations, places);
    }

    /// <summary>Walks through time: how much of the list must be there at each moment.</summary>
    private static string? CheckOrder(IReadOnlyCollection<PoolOperation> operations, Dictionary<long, int> places)
    {
        List<(TimeSpan At, bool IsEnd, PoolOperation Operation)> moments = [];
        foreach (PoolOperation operation in operations)
        {
            moments.Add((operation.Began, false, operation));
            if (operation.Ended is { } ended) { moments.Add((ended, true, operation)); }
        }

        moments.Sort(static (left, right) => (left.At, left.IsEnd).CompareTo((right.At, right.IsEnd)));
        int least = 0;
        Dictionary<PoolOperation, int> required = [];
        foreach ((_, bool isEnd, PoolOperation operation) in moments)
        {
            if (!isEnd)
            {
                required[operation] = least;
                continue;
            }

            int reached;
            if (operation.Value == 0) { reached = operation.Seen.Length; }
            else if (places.TryGetValue(operation.Value, out int place)) { reached = place + 1; }
            else { return $"{operation.Value}, answered at {operation.Ended}, is lost"; }

            // An append is behind all that was there when it began; a read shows at least that.
            int needed = required[operation] + (operation.Value == 0 ? 0 : 1);
            if (reached < needed)
            {
                return operation.Value == 0
                    ? $"a read from {operation.Began} to {operation.Ended} saw {reached}, and {needed} were there before it began"
                    : $"{operation.Value}, appended from {operation.Began} to {operation.Ended}, is before what was there when it began";
            }

            least = Math.Max(least, reached);
        }

        return null;
    }
}
