using KvFs.Core;

namespace KvFs.Client;

/// <summary>Attributes of a dirty file that were set, answered from memory, and go with its next commit.</summary>
/// <remarks>
/// Guarded by the file's gate. Why: whoever unpacks an archive writes a file and then sets times, owner and mode, which would
/// be three transactions more for each. What is kept is the outcome, not the changes, so that it can be captured, shown and
/// committed twice without harm. It is kept only while data of the file waits to be captured: its commit comes in any case.
/// <para>A version says which outcome a batch has captured: with the end of that batch nothing is kept any more, unless
/// something was set since.</para>
/// </remarks>
internal sealed class KeptAttributes
{
    /// <summary>What belongs to owner and mode: one is not set without the others.</summary>
    public const AttributeMask Owners =
        AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid | AttributeMask.KillSetId;

    private const AttributeMask Accesses = AttributeMask.AccessTime | AttributeMask.AccessTimeNow;

    private const AttributeMask Modifies = AttributeMask.ModifyTime | AttributeMask.ModifyTimeNow;

    private SetAttributesRequest kept;
    private uint version;
    private uint captured;

    public bool IsEmpty => kept.Mask == AttributeMask.None;

    /// <summary>Whether a change can wait: not one of the size, nor where extended attributes follow the mode.</summary>
    public static bool CanKeep(in SetAttributesRequest change, in VNode node) =>
        (change.Mask & AttributeMask.Size) == 0
        && (node.Flags & (VNodeFlags.HasXattrs | VNodeFlags.HasAccessAcl)) == 0;

    /// <summary>Whether the change sets the modify time, which then outlasts the writes before it.</summary>
    public static bool SetsModifyTime(in SetAttributesRequest change) => (change.Mask & Modifies) != 0;

    /// <summary>Keeps what a change led to.</summary>
    /// <param name="change">What was asked.</param>
    /// <param name="node">The VNode afterwards.</param>
    public void Keep(in SetAttributesRequest change, in VNode node)
    {
        AttributeMask mask = kept.Mask;
        if ((change.Mask & Owners) != 0) { mask |= AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid; }
        if ((change.Mask & Accesses) != 0) { mask |= AttributeMask.AccessTime; }
        if ((change.Mask & Modifies) != 0) { mask |= AttributeMask.ModifyTime; }
        if ((change.Mask & AttributeMask.KeepChangeTime) == 0) { mask |= AttributeMask.ChangeTime; }
        bool hasChangeTime = (mask & AttributeMask.ChangeTime) != 0;
        mask = hasChangeTime ? mask & ~AttributeMask.KeepChangeTime : mask | AttributeMask.KeepChangeTime;
        kept = new()
        {
            Node = change.Node,
            Mask = mask,
            Mode = node.Mode,
            Uid = node.Uid,
            Gid = node.Gid,
            AccessTime = node.AccessTime,
            ModifyTime = node.ModifyTime,
            ChangeTime = node.ChangeTime,
        };
        version++;
    }

    /// <summary>The file was written to after what is kept: that gives the modify time.</summary>
    public void OnWritten()
    {
        if ((kept.Mask & AttributeMask.ModifyTime) == 0) { return; }
        kept = WithoutModifyTime(kept);
        version++;
    }

    /// <summary>The file was cut after what is kept, by the session, and everything of it is captured: batches forget the
    /// modify time, too, so that the version stays.</summary>
    public void OnCut() => kept = WithoutModifyTime(kept);

    /// <summary>The same without a modify time.</summary>
    public static SetAttributesRequest WithoutModifyTime(in SetAttributesRequest attributes) =>
        attributes with { Mask = attributes.Mask & ~AttributeMask.ModifyTime };

    /// <summary>Puts what is kept over what the session has told.</summary>
    public void Show(ref VNode node)
    {
        if (IsEmpty) { return; }
        Timestamp told = node.ChangeTime;
        SetAttributes.ApplyPlain(kept, told, ref node);
        if (told > node.ChangeTime) { node.ChangeTime = told; }
    }

    /// <summary>What a batch that captures data of the file takes along; null: nothing, or an earlier one has it.</summary>
    public (SetAttributesRequest Attributes, uint Version)? Capture()
    {
        if (IsEmpty || captured == version) { return null; }
        captured = version;
        return (kept, version);
    }

    /// <summary>Nothing is kept any more.</summary>
    public void Drop() => kept = default;

    /// <summary>A batch that captured a version is committed, or lost.</summary>
    public void OnEnded(uint ended)
    {
        if (ended == version) { kept = default; }
    }
}
