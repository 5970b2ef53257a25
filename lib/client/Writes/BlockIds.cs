using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client;

/// <summary>Hands out block ids from ranges that the session granted.</summary>
/// <remarks>Thread safe. An id that was handed out and not used is never used again.</remarks>
internal sealed class BlockIds(IDriveSession session, uint grant)
{
    private readonly Lock gate = new();
    private ulong next;
    private ulong end;

    public ValueTask<Reply<BlockId>> TakeAsync() =>
        TryTake(out BlockId id) ? new(Reply.Ok(id)) : GrantAndTakeAsync();

    private bool TryTake(out BlockId id)
    {
        lock (gate)
        {
            id = new(next);
            if (next == end) { return false; }
            next++;
            return true;
        }
    }

    private async ValueTask<Reply<BlockId>> GrantAndTakeAsync()
    {
        Reply<BlockId> granted = await session.GrantBlocksAsync(grant);
        if (!granted.IsOk) { return granted; }
        lock (gate)
        {
            // Two callers may have asked at once: the first range is used up first, the id of the second is its own.
            if (next == end)
            {
                next = granted.Value.Value + 1;
                end = granted.Value.Value + grant;
            }
        }

        return granted;
    }
}
