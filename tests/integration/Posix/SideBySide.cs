using System.Globalization;

namespace KvFs.Integration.Tests.Posix;

/// <summary>The first thing that was different.</summary>
/// <param name="Call">Index of the call; the number of calls if only the trees differ at the end.</param>
internal sealed record Difference(int Call, string Text);

/// <summary>Makes the same calls on a tree of the local disk and on one of a mount, and compares.</summary>
/// <remarks>Every run gets two fresh folders, and leaves them for whoever looks.</remarks>
/// <param name="local">A folder of the local disk.</param>
/// <param name="mount">A folder of the mount.</param>
/// <param name="plant">Changes the calls on the mount, to show that a difference is found.</param>
internal sealed class SideBySide(string local, string mount, Func<PosixCall, PosixCall>? plant = null)
{
    /// <summary>Runs that shrinking a sequence may take: a few minutes of the smallest ones.</summary>
    private const int MaxReplays = 600;

    private int runs;

    /// <summary>Calls that worked on both sides, by kind: what was compared beyond errors.</summary>
    public SortedDictionary<PosixKind, int> Worked { get; } = [];

    /// <summary>The trees of the last run.</summary>
    public (string Local, string Mount) Last { get; private set; }

    public Difference? Run(IReadOnlyList<PosixCall> calls)
    {
        runs++;
        string name = runs.ToString(CultureInfo.InvariantCulture);
        Last = (Directory.CreateDirectory($"{local}/{name}").FullName, Directory.CreateDirectory($"{mount}/{name}").FullName);
        using (PosixTree expected = new(Last.Local))
        using (PosixTree actual = new(Last.Mount))
        {
            for (int i = 0; i < calls.Count; i++)
            {
                PosixResult right = expected.Make(calls[i]);
                PosixResult found = actual.Make(plant?.Invoke(calls[i]) ?? calls[i]);
                if (right != found) { return new(i, $"{calls[i]}\n    ext4: {right}\n    KvFs: {found}"); }
                if (right.ErrorNumber == 0) { Worked[calls[i].Kind] = Worked.GetValueOrDefault(calls[i].Kind) + 1; }
            }
        }

        string trees = TreeImage.Compare(TreeImage.Take(Last.Local), TreeImage.Take(Last.Mount));
        return trees.Length > 0 ? new(calls.Count, "the trees at the end:\n" + trees) : null;
    }

    /// <summary>The fewest calls that still show a difference: leaves out ever smaller pieces for as long as one can be
    /// (delta debugging).</summary>
    public (List<PosixCall> Calls, Difference Difference) Shrink(IReadOnlyList<PosixCall> calls, Difference difference)
    {
        List<PosixCall> least = [.. calls.Take(difference.Call + 1)];
        int piece = Math.Max(1, least.Count / 2);
        int replays = 0;
        while (replays < MaxReplays)
        {
            bool isSmaller = false;
            for (int start = 0; start < least.Count && replays < MaxReplays; replays++)
            {
                List<PosixCall> fewer = [.. least.Take(start), .. least.Skip(start + piece)];
                if (Run(fewer) is { } still)
                {
                    least = [.. fewer.Take(still.Call + 1)];
                    difference = still;
                    isSmaller = true;
                }
                else
                {
                    start += piece;
                }
            }

            if (!isSmaller && piece == 1) { break; }
            if (!isSmaller) { piece = Math.Max(1, piece / 2); }
        }

        return (least, difference);
    }
}
