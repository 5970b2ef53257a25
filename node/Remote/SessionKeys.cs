using System.Security.Cryptography;
using KvFs.Core;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>Whether a client may speak for a session, by the records that this node has of its drive; it need not be the one that serves it.
/// </summary>
/// <remarks>One thread's. A session that has ended is believed until the records here say so, and for a lease more.</remarks>
internal sealed class SessionKeys(StorageNode node, TimeSpan lease, TimeProvider clock)
{
    /// <summary>Sessions that are remembered; with more, all are looked up anew.</summary>
    private const int MaxKnown = 1024;

    private readonly Dictionary<(DriveId Drive, SessionId Session), Known> known = [];

    public bool IsOf(V1.SessionKey? key)
    {
        if (key is null || key.Drive.Length != DriveId.Size || key.Token.Length != SessionToken.Size) { return false; }
        (DriveId Drive, SessionId Session) session = (DriveId.Read(key.Drive.Span), new(key.Session));
        if (!known.TryGetValue(session, out Known found) || clock.GetElapsedTime(found.ReadAt) > lease)
        {
            if (node.Host.FindSession(session.Drive, session.Session) is not { } record || record.Token == default) { return false; }
            if (known.Count >= MaxKnown) { known.Clear(); }
            found = new(record.Token, clock.GetTimestamp());
            known[session] = found;
        }

        Span<byte> token = stackalloc byte[SessionToken.Size];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(token, found.Token.Value);
        return CryptographicOperations.FixedTimeEquals(token, key.Token.Span);
    }

    private readonly record struct Known(SessionToken Token, long ReadAt);
}
