using System.Collections.Immutable;
using System.Text;
using KvFs.Core;

namespace KvFs.Simulation.Nodes;

/// <summary>A drive that its user has not deleted. Immutable.</summary>
/// <param name="Id">Its id; none while its making has not been answered.</param>
/// <param name="Tree">What it shows.</param>
internal sealed record ModelDrive(DriveId Id, ModelTree Tree)
{
    internal ImmutableSortedDictionary<string, ModelTree> Snapshots { get; init; } =
        ImmutableSortedDictionary.Create<string, ModelTree>(StringComparer.Ordinal);

    internal ulong QuotaBytes { get; init; }

    internal ulong QuotaInodes { get; init; }

    /// <summary>What it was cloned from, and what that was, and so on: pinned as long as it is there.</summary>
    internal ImmutableArray<DriveId> Origins { get; init; } = [];

    internal bool HasQuota => QuotaBytes != 0 || QuotaInodes != 0;
}

/// <summary>All drives of a node. Immutable.</summary>
internal sealed class ModelWorld(ImmutableSortedDictionary<string, ModelDrive> drives)
{
    private string? image;

    internal static ModelWorld Empty { get; } =
        new(ImmutableSortedDictionary.Create<string, ModelDrive>(StringComparer.Ordinal));

    internal ImmutableSortedDictionary<string, ModelDrive> Drives => drives;

    /// <summary>Everything that a user sees, as text.</summary>
    internal string Image => image ??= MakeImage();

    internal ModelWorld With(string name, ModelDrive drive) => new(drives.SetItem(name, drive));

    internal ModelWorld With(string name, ModelTree tree) => With(name, drives[name] with { Tree = tree });

    internal ModelWorld Without(string name) => new(drives.Remove(name));

    /// <summary>The drives whose folders must be there, and no others.</summary>
    internal SortedSet<DriveId> Folders() =>
        [.. drives.Values.SelectMany(static drive => drive.Origins.Add(drive.Id))];

    private string MakeImage()
    {
        StringBuilder text = new();
        foreach ((string name, ModelDrive drive) in drives)
        {
            AppendDrive(text, name, drive.QuotaBytes, drive.QuotaInodes, drive.Tree.Image);
            foreach ((string snapshot, ModelTree tree) in drive.Snapshots) { AppendSnapshot(text, snapshot, tree.Image); }
        }

        return text.ToString();
    }

    internal static void AppendDrive(StringBuilder text, string name, ulong quotaBytes, ulong quotaInodes, string tree) =>
        text.Append("drive ").Append(name).Append(" quota ").Append(quotaBytes).Append(' ').Append(quotaInodes)
            .Append('\n').Append(tree).Append('\n');

    internal static void AppendSnapshot(StringBuilder text, string name, string tree) =>
        text.Append("snapshot ").Append(name).Append('\n').Append(tree).Append('\n');
}
