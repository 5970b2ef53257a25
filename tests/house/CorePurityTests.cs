using KvFs.House.Tests.Rules;

namespace KvFs.House.Tests;

public sealed class CorePurityTests
{
    private static IEnumerable<SourceFile> Core =>
        Repository.CSharp.Where(file => file.Path.StartsWith(CorePurity.Folder, StringComparison.Ordinal));

    [Fact]
    public void Core_has_no_locks_threads_or_tasks() => Report.Nothing(Core.SelectMany(CorePurity.CheckLocks));

    [Fact]
    public void Core_lets_no_order_of_a_hash_table_out() => Report.Nothing(Core.SelectMany(CorePurity.CheckOrder));

    [Fact]
    public void The_rule_reads_the_real_core() => Assert.True(Core.Count() > 5);

    [Theory]
    [InlineData("lock (gate) { count++; }")]
    [InlineData("lock(gate) { }")]
    [InlineData("private readonly Lock gate = new();")]
    [InlineData("var gate = new Lock();")]
    [InlineData("Monitor.Enter(gate);")]
    [InlineData("Interlocked.Increment(ref count);")]
    [InlineData("private volatile bool stopped;")]
    [InlineData("public async ValueTask Run()")]
    [InlineData("[ThreadStatic] private static int last;")]
    public void A_planted_lock_or_thread_is_found(string planted) =>
        Report.Lines(CorePurity.CheckLocks(new("lib/core/A.cs", $"\n{planted}")), 2);

    [Theory]
    [InlineData("public sealed record Lock(ulong Owner, ulong Start);")]
    [InlineData("return Status.Locked; // lock (x)")]
    [InlineData("Block(1); Unlock(2); list.Await(3);")]
    [InlineData("public LockRange Lock { get; }")]
    public void What_only_sounds_like_a_lock_is_left_alone(string planted) =>
        Report.Nothing(CorePurity.CheckLocks(new("lib/core/A.cs", planted)));

    [Theory]
    [InlineData("foreach (var pair in map) { }")]
    [InlineData("foreach (var key in map.Keys) { }")]
    [InlineData("foreach (var key in this.map.Values) { }")]
    [InlineData("var list = map.Select(pair => pair.Key).ToList();")]
    [InlineData("var list = map.Values.Where(value => value > 1).ToList();")]
    [InlineData("var first = map.Values.First();")]
    [InlineData("List<string> keys = [.. map];")]
    [InlineData("keys.AddRange(map);")]
    public void A_planted_enumeration_of_a_dictionary_is_found(string planted) =>
        Report.Lines(CorePurity.CheckOrder(WithMap(planted)), 3);

    [Theory]
    [InlineData("foreach (var key in map.Keys.Order()) { }")]
    [InlineData("foreach (var pair in map.OrderBy(pair => pair.Key)) { }")]
    [InlineData("int count = map.Values.Sum();")]
    [InlineData("foreach (var pair in map) { } // House: every entry is cleared, in whatever order.")]
    [InlineData("if (map.TryGetValue(key, out var value)) { map.Remove(key); }")]
    [InlineData("foreach (var item in sorted) { }")]
    [InlineData("foreach (var item in other.map) { }")]
    public void An_enumeration_whose_order_does_not_matter_is_left_alone(string planted) =>
        Report.Nothing(CorePurity.CheckOrder(WithMap(planted)));

    [Theory]
    [InlineData("HashSet<ulong> seen = []; foreach (var id in seen) { }")]
    [InlineData("var seen = new HashSet<ulong>(); foreach (var id in seen) { }")]
    [InlineData("Run(IReadOnlyDictionary<int, List<int>>? seen) { foreach (var id in seen) { } }")]
    [InlineData("ImmutableHashSet<int> seen; foreach (var id in seen) { }")]
    public void Every_unordered_collection_counts(string planted) =>
        Report.Lines(CorePurity.CheckOrder(new("lib/core/A.cs", planted)), 1);

    private static SourceFile WithMap(string planted) => new(
        "lib/core/A.cs",
        $"private readonly Dictionary<(int, string), List<int>> map = [];\nSortedDictionary<int, int> sorted;\n{planted}");
}
