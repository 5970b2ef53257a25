namespace KvFs.House.Tests;

/// <summary>Turns findings into a test's outcome.</summary>
public static class Report
{
    /// <summary>Fails with every finding on a line of its own, so that one run tells all there is to mend.</summary>
    public static void Nothing(IEnumerable<Finding> findings)
    {
        List<string> lines = [.. findings.Select(finding => finding.ToString())];
        Assert.True(lines.Count == 0, $"{lines.Count} finding(s):\n{string.Join('\n', lines)}");
    }

    /// <summary>Expects findings on exactly these lines: the proof that a rule sees what was planted, and no more.</summary>
    public static void Lines(IEnumerable<Finding> findings, params int[] expected) =>
        Assert.Equal(expected, findings.Select(finding => finding.Line).Order());
}
