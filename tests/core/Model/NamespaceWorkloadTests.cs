namespace KvFs.Core.Tests.Model;

public sealed class NamespaceWorkloadTests
{
    [Fact]
    public void Random_lives_show_what_naive_trees_show_at_head_in_snapshots_and_in_clones()
    {
        SortedDictionary<Status, int> answers = [];
        for (int seed = 1; seed <= 12; seed++)
        {
            NamespaceWorkload workload = new(seed, quotaInodes: seed % 3 == 0 ? 40u : 0u);
            WithSeed(seed, () => workload.Run(2000));
            foreach ((Status status, int count) in workload.Answers)
            {
                answers[status] = answers.GetValueOrDefault(status) + count;
            }
        }

        // The workload is worth something only if it comes by every answer.
        Status[] expected =
        [
            Status.Ok, Status.NotFound, Status.Exists, Status.NoInodes, Status.NotDirectory, Status.IsDirectory,
            Status.NotEmpty, Status.Invalid, Status.NameTooLong, Status.NotPermitted, Status.Stale, Status.NoAttribute,
        ];
        Assert.Equal(expected, answers.Keys);
        Assert.All(answers.Values, count => Assert.True(count > 10));
    }

    private static void WithSeed(int seed, Action run)
    {
        try { run(); }
        catch (Exception failure) { throw new InvalidOperationException($"KVFS_SEED={seed}: {failure.Message}", failure); }
    }
}
