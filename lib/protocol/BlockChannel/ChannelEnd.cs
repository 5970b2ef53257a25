using KvFs.Core;

namespace KvFs.Protocol.BlockChannel;

/// <summary>Why a connection ended, or was not made.</summary>
/// <param name="Status">Ok: one side had no more use for it. Unavailable: the other side is gone, stopping, or cannot be
/// reached. Invalid: one side broke the rules of the channel. NotSupported, NotFound, AccessDenied, Busy: the server refused (its
/// version, another pool, the certificate, too many connections). Unknown: a bug.</param>
/// <param name="Reason">For people.</param>
public sealed record ChannelEnd(Status Status, string Reason)
{
    public override string ToString() => $"{Reason} ({Status})";
}
