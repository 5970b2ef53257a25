using KvFs.Core;

namespace KvFs.Node.Storage;

/// <summary>The outcome of something that a person asked for: what, and, unless Ok, why and what to do.</summary>
public readonly record struct StorageResult(Status Status, string Message)
{
    public static readonly StorageResult Ok = new(Status.Ok, "");

    public bool IsOk => Status == Status.Ok;
}
