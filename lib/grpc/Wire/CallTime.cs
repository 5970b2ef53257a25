namespace KvFs.Grpc.Wire;

/// <summary>Bounds of the time that a call may take.</summary>
internal static class CallTime
{
    /// <summary>What a timer can wait for: a longer deadline travels, but nobody here waits for it.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(24);
}
