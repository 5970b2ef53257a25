using System.Security.Cryptography;
using KvFs.Core;
using V1 = KvFs.Protocol.V1;

namespace KvFs.Node.Remote;

/// <summary>Whether a client may speak for a session, by the records of its drive, here or elsewhere; this node need not be the one that serves
/// it.</summary>
/// <remarks>One thread's. A session that has ended is believed until the records say so, and for a lease more.</remarks>
/// <param name="find">The token of a session; the default: none is known.</param>
/// <param name="lease">How long it is believed.</param>
/// <param name="clock">Tells the time.</param>
internal sealed class SessionKeys(Func<DriveId, SessionId, SessionToken> find, TimeSpan lease, TimeProvider clock)
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
            SessionToken token = find(session.Drive, session.Session);
            if (token == default) { return false; }
            if (known.Count >= MaxKnown) { known.Clear(); }
            found = new(token, clock.GetTimestamp());
            known[session] = found;
        }

        Span<byte> expected = stackalloc byte[SessionToken.Size];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(expected, found.Token.Value);
        return CryptographicOperations.FixedTimeEquals(expected, key.Token.Span);
    }

    private readonly record struct Known(SessionToken Token, long ReadAt);
}
