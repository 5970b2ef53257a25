using Google.Protobuf;
using KvFs.Direct;
using KvFs.Grpc;

namespace KvFs.Protocol.Wire;

/// <summary>Offers of direct streams.</summary>
public static class WireDirect
{
    /// <summary>The longest message of a direct stream: the longest that any of the services has.</summary>
    public const int MessageBytes = 64 << 20;

    /// <summary>While more than that waits for a client to take it, no more of its requests are taken.</summary>
    public const long MaxWaitingBytes = 32 << 20;

    /// <summary>What a client says on a stream that <see cref="BlockMethods.OfferReads"/> offers.</summary>
    public static Marshaller<V1.CopyRead> CopyReads { get; } = Marshaller.Protobuf(V1.CopyRead.Parser);

    /// <summary>What the node answers there.</summary>
    public static Marshaller<V1.CopyReadReply> CopyReadReplies { get; } = Marshaller.Protobuf(V1.CopyReadReply.Parser);

    public static V1.DirectOffer ToWire(this in DirectOffer offer) =>
        new() { Port = (uint)offer.Port, Ticket = ByteString.CopyFrom(offer.Ticket.Span) };

    /// <summary>What was offered; not checked: who takes it up finds out.</summary>
    public static DirectOffer ToCore(this V1.DirectOffer offer)
    {
        ArgumentNullException.ThrowIfNull(offer);
        return new(offer.Port <= ushort.MaxValue ? (int)offer.Port : 0, offer.Ticket.Memory);
    }
}
