namespace KvFs.Core;

/// <summary>What a write, and a change of owner, takes away from a file's mode, as Linux does.</summary>
public static class WritePrivileges
{
    private const ushort SetUid = 0b100_000_000_000;
    private const ushort SetGid = 0b010_000_000_000;
    private const ushort GroupExecute = 0b000_001_000;

    /// <summary>The mode without set-uid, and without set-gid where the group may execute.</summary>
    public static ushort WithoutSetId(ushort mode) =>
        (ushort)(mode & ~SetUid & ((mode & GroupExecute) != 0 ? ~SetGid : -1));
}
