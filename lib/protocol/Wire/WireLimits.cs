using KvFs.Core;
using KvFs.Grpc;

namespace KvFs.Protocol.Wire;

/// <summary>Bounds of what travels between a client and a node, beside those of <see cref="Limits"/>.</summary>
public static class WireLimits
{
    /// <summary>Bytes of a request: a transaction's, with its frame.</summary>
    public const int RequestBytes = 2 * Limits.TransactionBytes;

    /// <summary>Bytes of an answer: a cluster that shows all that its slices may hold inline (16 MiB) is the longest.</summary>
    public const int AnswerBytes = 24 << 20;

    /// <summary>Bytes of a block in one message: small enough to share the connection with others.</summary>
    public const int ChunkBytes = 256 << 10;

    /// <summary>Bytes of a block that a peer may put into one message.</summary>
    public const int MaxChunkBytes = 1 << 20;

    /// <summary>Bytes of a block that goes whole into one message, where it may have to share the stream with others.</summary>
    public const int WholeBlockBytes = 4 << 20;

    /// <summary>Files of one commit: bounds the answer, and the time that it keeps the shard's loop.</summary>
    public const int Commits = 1024;

    /// <summary>Bytes of the secret of a session.</summary>
    public const int TokenBytes = 16;

    /// <summary>Of a server of these services.</summary>
    public static GrpcCallLimits OfServer { get; } = new(RequestBytes, AnswerBytes);

    /// <summary>Of a client of these services.</summary>
    public static GrpcCallLimits OfClient { get; } = new(AnswerBytes, RequestBytes);
}
