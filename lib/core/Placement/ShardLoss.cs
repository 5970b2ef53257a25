using System.Buffers;
using System.Collections.Immutable;

namespace KvFs.Core;

/// <summary>On record: a person had a shard begin anew from a copy that was not in sync, and accepted that what only the others
/// had is lost. Of several, the last.</summary>
/// <param name="Epoch">The reign that began so.</param>
/// <param name="End">The last entry that the copy had. What is behind it and of an earlier reign is lost.</param>
/// <param name="Gone">Who was in sync until then, ascending.</param>
/// <param name="AtMs">When: milliseconds since 1970-01-01 UTC.</param>
/// <param name="By">Who: printable ASCII without quotes and backslashes, at most <see cref="PoolLimits.LossTextBytes"/>.</param>
/// <param name="Why">In their words, as <paramref name="By"/>; may be empty.</param>
public sealed record ShardLoss(
    Epoch Epoch, LogPosition End, ImmutableArray<NodeId> Gone, ulong AtMs, string By, string Why)
{
    private static readonly SearchValues<char> s_text = SearchValues.Create(
        [.. Enumerable.Range(' ', '~' - ' ' + 1).Select(static code => (char)code).Where(static one => one is not ('\\' or '"'))]);

    public bool Equals(ShardLoss? other) =>
        other is not null && Epoch == other.Epoch && End == other.End && Gone.AsSpan().SequenceEqual(other.Gone.AsSpan())
        && AtMs == other.AtMs && By == other.By && Why == other.Why;

    public override int GetHashCode() => HashCode.Combine(Epoch, End, Gone.Length, AtMs, By, Why);

    /// <summary>Whether an entry that was answered before is among what was lost.</summary>
    public bool Took(LogPosition answered) => answered.Epoch < Epoch && answered > End;

    /// <summary>Whether a text can be <see cref="By"/> or <see cref="Why"/>.</summary>
    public static bool IsText(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length <= PoolLimits.LossTextBytes && !text.AsSpan().ContainsAnyExcept(s_text);
    }
}

/// <summary>A person accepts that something is lost. As <see cref="ShardLoss"/> has it.</summary>
public sealed record LossAcceptance(ulong AtMs, string By, string Why);
