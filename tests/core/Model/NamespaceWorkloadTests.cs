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

    public static TheoryData<string> PlantedBugs =>
    [
        nameof(BatchTampering.ForgetHistory),
        nameof(BatchTampering.ResurrectNames),
        nameof(BatchTampering.ForgetWhiteouts),
        nameof(BatchTampering.ForgetLinkCounts),
        nameof(BatchTampering.ForgetToDeleteNames),
        nameof(BatchTampering.ForgetOrphans),
        nameof(BatchTampering.ForgetParents),
        nameof(BatchTampering.ForgetUsage),
        nameof(BatchTampering.ReapTooMuch),
    ];

    [Theory]
    [MemberData(nameof(PlantedBugs))]
    public void A_planted_bug_is_found(string bug)
    {
        Action<RecordBatch> tamper = (Action<RecordBatch>)typeof(BatchTampering).GetProperty(bug)!.GetValue(null)!;
        int found = Enumerable.Range(1, 4).Count(seed => Fails(new(seed, quotaInodes: 0, tamper)));
        Assert.True(found >= 3, $"{bug} was found in {found} of 4 lives.");
    }

    private static bool Fails(NamespaceWorkload workload)
    {
        try
        {
            workload.Run(2000);
            return false;
        }
        catch (Exception found) when (found is Xunit.Sdk.XunitException or RecordCorruptException or InvariantException)
        {
            return true;
        }
    }

    private static void WithSeed(int seed, Action run)
    {
        try { run(); }
        catch (Exception failure) { throw new InvalidOperationException($"KVFS_SEED={seed}: {failure.Message}", failure); }
    }
}
