using System.Collections.Immutable;
using System.Text;
using KvFs.Core;
using KvFs.Simulation.Nodes;

namespace KvFs.Simulation.Pool;

/// <summary>What a client's directory shows, and showed in its snapshots. Immutable.</summary>
/// <param name="Tree">What is below the directory; null: it is not there.</param>
internal sealed record HomeState(ModelTree? Tree)
{
    private const string Nothing = "nothing";

    private string? image;

    public ImmutableSortedDictionary<string, ModelTree> Snapshots { get; init; } =
        ImmutableSortedDictionary.Create<string, ModelTree>(StringComparer.Ordinal);

    /// <summary>As text.</summary>
    public string Image => image ??= MakeImage();

    private HomeState(HomeState other)
    {
        // What was made of the other one is not copied.
        Tree = other.Tree;
        Snapshots = other.Snapshots;
    }

    /// <summary>What the records of a drive show of it, as text; null: there is no such drive.</summary>
    /// <param name="disk">The records, and the blocks that they name.</param>
    /// <param name="drive">Which drive.</param>
    /// <param name="home">The directory's name in the root; its snapshots' names begin so.</param>
    public static string? Read(ShardDisk disk, DriveId drive, string home)
    {
        if (DriveRecords.Load(disk.Records, drive, out DriveState? state, out _) != Status.Ok) { return null; }
        StoredDriveView head = new(disk.Records, state!, CowNumber.Head);
        StringBuilder text = new(TreeOf(disk, head, home));
        foreach ((string name, RetainedVersion version) in DriveRecords.Snapshots(head).OrderBy(static one => one.Key, StringComparer.Ordinal))
        {
            if (!name.StartsWith(home + "-", StringComparison.Ordinal)) { continue; }
            ModelWorld.AppendSnapshot(text, name, TreeOf(disk, new(disk.Records, state!, version.At), home));
        }

        return text.ToString();
    }

    private string MakeImage()
    {
        StringBuilder text = new(Tree?.Image ?? Nothing);
        foreach ((string name, ModelTree tree) in Snapshots) { ModelWorld.AppendSnapshot(text, name, tree.Image); }
        return text.ToString();
    }

    private static string TreeOf(ShardDisk disk, StoredDriveView view, string home) =>
        ResolvePath.Apply(view, Encoding.UTF8.GetBytes(home), out NodeInfo found) == Status.Ok ? new DriveImage(view, disk.Blocks).Take(found.Id) : Nothing;
}
