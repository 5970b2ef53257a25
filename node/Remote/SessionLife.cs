namespace KvFs.Node.Remote;

/// <summary>What becomes of a session when its primary goes.</summary>
internal enum SessionLife
{
    /// <summary>It ends: no other node could go on with it.</summary>
    OfThisPrimary = 0,

    /// <summary>It goes on with the next one.</summary>
    OfThePool = 1,

    /// <summary>The same, and it has come here from the one before.</summary>
    OfPrimaryBefore = 2,
}
