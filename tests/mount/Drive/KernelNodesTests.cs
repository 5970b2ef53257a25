namespace KvFs.Mount.Tests.Drive;

/// <summary>Which nodes the kernel may know.</summary>
public sealed class KernelNodesTests
{
    [Fact]
    public void Every_node_that_was_told_is_called_and_few_others_are()
    {
        ulong[] told = [1, 8, 63, 64, 511, 512, 262_143, 262_144, 1UL << 40, long.MaxValue];
        KernelNodes nodes = new();
        foreach (ulong id in told)
        {
            nodes.Add(id);
            nodes.Add(id);
        }

        List<ulong> called = [];
        nodes.ForEach(called.Add);
        Assert.Equal(called.Count, called.Distinct().Count());
        Assert.Empty(told.Except(called));
        Assert.All(called, id => Assert.Contains(told, known => known / 8 == id / 8));
    }
}
