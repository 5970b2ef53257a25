using KvFs.Core;

namespace KvFs.Protocol;

/// <summary>An answer: a status and, if it is <see cref="Core.Status.Ok"/>, a value.</summary>
public readonly record struct Reply<T>(Status Status, T Value)
{
    public bool IsOk => Status == Status.Ok;
}

/// <summary>Makes replies.</summary>
public static class Reply
{
    public static Reply<T> Ok<T>(T value) => new(Status.Ok, value);

    public static Reply<T> Failed<T>(Status status) => new(status, default!);
}
