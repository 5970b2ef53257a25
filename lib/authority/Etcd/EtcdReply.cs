using System.Text.Json;

namespace KvFs.Authority;

/// <summary>How the asking of etcd ended.</summary>
internal enum EtcdReplyKind
{
    /// <summary>It answered.</summary>
    Answer,

    /// <summary>No member took the request, or all refused it: it has no effect.</summary>
    NotDone,

    /// <summary>The request is larger than etcd takes: it has no effect.</summary>
    TooLarge,

    /// <summary>A member may have taken the request, and did not say what became of it.</summary>
    MaybeDone,
}

/// <summary>What etcd answered, or why it did not.</summary>
/// <param name="Kind">How the asking ended.</param>
/// <param name="Body">The answer; undefined without one.</param>
/// <param name="Reason">Why there is none, for people.</param>
/// <param name="IsRepeated">Whether an earlier try of the same request may have been carried out before.</param>
internal readonly record struct EtcdReply(EtcdReplyKind Kind, JsonElement Body, string Reason, bool IsRepeated);
