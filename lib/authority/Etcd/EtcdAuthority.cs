using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using KvFs.Core;

namespace KvFs.Authority;

/// <summary>A pool map in etcd (3.4 and later), through its JSON gateway.</summary>
/// <remarks>
/// Keys: <c>(prefix)/map</c> has the map's text. <c>(prefix)/changes/(n)</c>, n = revision modulo 1,024, has the map's
/// revision and a number that who changed it drew, put in the same transaction: so a swap whose answer was lost finds
/// out what became of it. The compared revision is the map's; which revision of etcd that is, is remembered, or looked
/// up. Source: docs/placement.md#etcd.
/// </remarks>
public sealed class EtcdAuthority : IPoolAuthority
{
    /// <summary>Changes that are remembered: many more than can happen while one swap is sent again.</summary>
    internal const ulong RememberedChanges = 1024;

    private const string NotEtcd = "what answers is not etcd";

    private readonly EtcdOptions options;
    private readonly EtcdGateway gateway;
    private readonly byte[] mapKey;

    /// <summary>A map that stood there, and where etcd counted then. A hint: an old one makes a swap fail, as it
    /// should.</summary>
    private volatile Standing? known;

    /// <exception cref="ArgumentException">The options make no sense.</exception>
    public EtcdAuthority(EtcdOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        this.options = options;
        gateway = new(options);
        mapKey = Encoding.UTF8.GetBytes($"{options.Prefix}/map");
    }

    public string? Trouble { get; private set; }

    public async Task<AuthorityAnswer> ReadAsync(CancellationToken cancellation) =>
        (await LookAsync(cancellation)).Answer;

    public async Task<AuthorityAnswer> CompareAndSwapAsync(ulong expected, PoolMap map, CancellationToken cancellation)
    {
        MapProgress.CheckFollows(expected, known?.Map, map);
        byte[] text = PoolMapCodec.Encode(map);
        if (text.Length > options.MaxMapBytes)
        {
            return new(
                AuthorityOutcome.TooLarge,
                null,
                $"the map has {text.Length} bytes, and etcd takes {options.MaxMapBytes} as one value");
        }

        if (expected == 0) { return await SwapAsync(expected, compared: 0, map, text, cancellation); }
        if (known is { } standing && standing.Map.Revision == expected)
        {
            return await SwapAsync(expected, standing.ModRevision, map, text, cancellation);
        }

        Sight sight = await LookAsync(cancellation);
        if (sight.Answer.Outcome != AuthorityOutcome.Ok) { return sight.Answer; }
        if (sight.Answer.Map?.Revision != expected) { return AuthorityAnswer.Conflict(expected, sight.Answer.Map); }
        MapProgress.CheckFollows(expected, sight.Answer.Map, map);
        return await SwapAsync(expected, sight.ModRevision, map, text, cancellation);
    }

    public async IAsyncEnumerable<PoolMap> WatchAsync(ulong after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        MapProgress progress = new(after);
        while (true)
        {
            Sight sight = await LookAsync(cancellation);
            if (progress.IsNews(sight.Answer)) { yield return sight.Answer.Map!; }
            if (sight.StoreRevision == 0)
            {
                await Task.Delay(options.RetryPause, options.Clock, cancellation);
                continue;
            }

            await foreach (AuthorityAnswer news in FollowAsync(sight.StoreRevision + 1, cancellation))
            {
                if (progress.IsNews(news)) { yield return news.Map!; }
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        gateway.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<Sight> LookAsync(CancellationToken cancellation)
    {
        EtcdReply reply = await gateway.AskAsync("/v3/kv/range", EtcdJson.Range(mapKey), cancellation);
        if (reply.Kind != EtcdReplyKind.Answer) { return new(Fail(AuthorityOutcome.Unavailable, reply.Reason), 0, 0); }
        long revision = EtcdJson.StoreRevision(reply.Body);
        if (revision == 0) { return new(Fail(AuthorityOutcome.Unavailable, NotEtcd), 0, 0); }
        Trouble = null;
        EtcdValue? found = EtcdJson.Found(reply.Body);
        return new(Decode(found), revision, found?.ModRevision ?? 0);
    }

    private async Task<AuthorityAnswer> SwapAsync(
        ulong expected, long compared, PoolMap map, byte[] text, CancellationToken cancellation)
    {
        string change = string.Create(CultureInfo.InvariantCulture, $"{map.Revision} {Guid.NewGuid():n}");
        byte[] changeKey = Encoding.UTF8.GetBytes(
            string.Create(CultureInfo.InvariantCulture, $"{options.Prefix}/changes/{map.Revision % RememberedChanges}"));
        EtcdReply reply = await gateway.AskAsync(
            "/v3/kv/txn", EtcdJson.Swap((mapKey, text), compared, (changeKey, Encoding.ASCII.GetBytes(change))), cancellation);
        switch (reply.Kind)
        {
            case EtcdReplyKind.TooLarge:
                return new(AuthorityOutcome.TooLarge, null, $"etcd takes no map of {text.Length} bytes: {reply.Reason}");
            case EtcdReplyKind.NotDone:
                return Fail(AuthorityOutcome.Unavailable, reply.Reason);
            case EtcdReplyKind.MaybeDone:
                return Fail(AuthorityOutcome.Unknown, reply.Reason);
        }

        long revision = EtcdJson.StoreRevision(reply.Body);
        if (revision == 0) { return Fail(AuthorityOutcome.Unknown, NotEtcd); }
        Trouble = null;
        if (EtcdJson.IsTrue(EtcdJson.Get(reply.Body, "succeeded")))
        {
            known = new(map, revision);
            return AuthorityAnswer.Ok(map);
        }

        JsonElement[] found =
        [
            .. EtcdJson.Items(EtcdJson.Get(reply.Body, "responses"))
                .Select(static item => EtcdJson.Get(item, "response_range")),
        ];
        if (found.Length != 2) { return Fail(AuthorityOutcome.Unknown, NotEtcd); }
        EtcdValue? noted = EtcdJson.Found(found[1]);
        string last = noted is { } value ? Encoding.ASCII.GetString(value.Value) : string.Empty;

        // Not only if we sent it again: HttpClient does so, too, where a kept connection turns out to be closed.
        if (last == change) { return AuthorityAnswer.Ok(map); }
        if (reply.IsRepeated && IsOfLaterChange(last, map.Revision))
        {
            return Fail(AuthorityOutcome.Unknown, $"the answer was lost, and more than {RememberedChanges} changes followed");
        }

        AuthorityAnswer standing = Decode(EtcdJson.Found(found[0]));
        return standing.Outcome == AuthorityOutcome.Ok ? AuthorityAnswer.Conflict(expected, standing.Map) : standing;
    }

    /// <summary>What one connection to one member says, until it breaks, ends, or is quiet for so long that we ask
    /// again.</summary>
    private async IAsyncEnumerable<AuthorityAnswer> FollowAsync(
        long start, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using IAsyncEnumerator<EtcdEvent> events =
            EtcdWatch.RunAsync(gateway, options, mapKey, start, cancellation).GetAsyncEnumerator(cancellation);
        while (true)
        {
            try
            {
                if (!await events.MoveNextAsync()) { break; }
            }
            catch (TimeoutException)
            {
                yield break;  // Asking says at once whether the member is still one of etcd's.
            }
            catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
            {
                Trouble = e.Message;
                gateway.LeaveCurrent();
                break;
            }

            EtcdEvent said = events.Current;
            if (said.Kind is EtcdEventKind.Compacted or EtcdEventKind.Deleted) { yield break; }
            if (said.Kind == EtcdEventKind.Put) { yield return Decode(said.Value); }
        }

        await Task.Delay(options.RetryPause, options.Clock, cancellation);
    }

    private AuthorityAnswer Decode(EtcdValue? value)
    {
        if (value is not { } found) { return AuthorityAnswer.Ok(null); }
        if (PoolMapCodec.TryDecode(found.Value, out PoolMap? map, out string reason) != Status.Ok)
        {
            return new(AuthorityOutcome.Damaged, null, reason);
        }

        known = new(map!, found.ModRevision);
        return AuthorityAnswer.Ok(map);
    }

    private AuthorityAnswer Fail(AuthorityOutcome outcome, string reason)
    {
        Trouble = reason;
        return new(outcome, null, reason);
    }

    private static bool IsOfLaterChange(string change, ulong revision) =>
        ulong.TryParse(change.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out ulong noted)
        && noted > revision;

    private sealed record Standing(PoolMap Map, long ModRevision);

    /// <summary>What stands there; the revision of etcd at which it did, 0 if it did not answer; and the one at which
    /// it was put, 0 if nothing is there.</summary>
    private readonly record struct Sight(AuthorityAnswer Answer, long StoreRevision, long ModRevision);
}
