using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace KvFs.Authority;

/// <summary>Asks etcd through the JSON gateway of its members: the one that answered last first, then the others in
/// turn.</summary>
/// <remarks>Requests are sent again until one is answered, so only such may be sent that do no harm twice. Thread
/// safe.</remarks>
internal sealed class EtcdGateway : IDisposable
{
    /// <summary>Bytes of one answer: two maps in base64, with room.</summary>
    private const int MaxAnswerBytes = 32 << 20;

    /// <summary>Connections are renewed so often, and with them certificates and addresses.</summary>
    private static readonly TimeSpan ConnectionLife = TimeSpan.FromMinutes(10);

    // Codes of gRPC that the gateway puts into its errors.
    private const long InvalidArgument = 3;
    private const long PermissionDenied = 7;
    private const long ResourceExhausted = 8;
    private const long Unauthenticated = 16;

    private readonly EtcdOptions options;
    private readonly HttpClient http;
    private int current;
    private volatile string? token;

    internal EtcdGateway(EtcdOptions options)
    {
        this.options = options;
        SslClientAuthenticationOptions tls = new();
        if (options.Authorities is not null)
        {
            tls.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
            tls.CertificateChainPolicy.CustomTrustStore.AddRange(options.Authorities);
        }

        if (options.Certificate is { } certificate)
        {
            tls.LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate()!;
            // A resumed session would go on under the certificate that it began with.
            tls.AllowTlsResume = false;
        }

        http = new(new SocketsHttpHandler
        {
            ConnectTimeout = options.AttemptTime,
            PooledConnectionLifetime = ConnectionLife,
            SslOptions = tls,
            UseProxy = false,
            AllowAutoRedirect = false,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = MaxAnswerBytes,
        };
    }

    public void Dispose() => http.Dispose();

    /// <summary>Asks until a member answers, or the time is over.</summary>
    internal async Task<EtcdReply> AskAsync(string path, byte[] request, CancellationToken cancellation)
    {
        using CancellationTokenSource over = new(options.RequestTime, options.Clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(over.Token, cancellation);
        bool maybeDone = false;
        string reason = string.Empty;
        for (int tried = 1; ; tried++)
        {
            Attempt attempt = await TryAsync(path, request, either.Token);
            cancellation.ThrowIfCancellationRequested();
            if (attempt.Verdict == Verdict.Answered) { return new(EtcdReplyKind.Answer, attempt.Body, string.Empty, maybeDone); }
            if (attempt.Reason.Length > 0) { reason = attempt.Reason; }
            maybeDone |= attempt.Verdict == Verdict.Lost;
            if (attempt.Verdict == Verdict.Refused && !maybeDone) { return new(attempt.Kind, default, reason, false); }
            if (attempt.Verdict == Verdict.Refused || over.IsCancellationRequested || !await PauseAsync(tried, either.Token))
            {
                cancellation.ThrowIfCancellationRequested();
                return new(maybeDone ? EtcdReplyKind.MaybeDone : EtcdReplyKind.NotDone, default, reason, maybeDone);
            }
        }
    }

    /// <summary>Opens a stream of answers at the current member. The caller disposes it.</summary>
    /// <exception cref="HttpRequestException">It does not open; the next call asks the next member.</exception>
    /// <exception cref="OperationCanceledException">It does not open in time, or the caller gave up.</exception>
    internal async Task<HttpResponseMessage> OpenAsync(string path, byte[] request, CancellationToken cancellation)
    {
        int member = Volatile.Read(ref current);
        HttpResponseMessage? response = null;
        try
        {
            using RequestBody body = new(request);
            response = await SendAsync(member, path, body, HttpCompletionOption.ResponseHeadersRead, cancellation);
            if (response.IsSuccessStatusCode) { return response; }
            if (response.StatusCode == HttpStatusCode.Unauthorized) { token = null; }
            throw new HttpRequestException($"{options.Endpoints[member]} answers {(int)response.StatusCode}");
        }
        catch
        {
            response?.Dispose();
            Leave(member);
            throw;
        }
    }

    /// <summary>Makes the next member the current one, if a member still is.</summary>
    internal void LeaveCurrent() => Leave(Volatile.Read(ref current));

    private void Leave(int member) => Interlocked.CompareExchange(ref current, (member + 1) % options.Endpoints.Count, member);

    /// <summary>After each round of all members, a pause; false if the time is over.</summary>
    private async Task<bool> PauseAsync(int tried, CancellationToken over)
    {
        if (tried % options.Endpoints.Count != 0) { return true; }
        try
        {
            await Task.Delay(options.RetryPause, options.Clock, over);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<Attempt> TryAsync(string path, byte[] request, CancellationToken over)
    {
        int member = Volatile.Read(ref current);
        using CancellationTokenSource late = new(options.AttemptTime, options.Clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, over);
        using RequestBody body = new(request);
        try
        {
            if (options.User is not null && token is null
                && await LogInAsync(member, either.Token) is { Verdict: not Verdict.Answered } failed)
            {
                return failed;
            }

            return await ExchangeAsync(member, path, body, either.Token);
        }
        catch (OperationCanceledException)
        {
            Leave(member);
            return new(body.IsOnItsWay ? Verdict.Lost : Verdict.NotSent, default, $"{options.Endpoints[member]} does not answer in time");
        }
        catch (HttpRequestException e)
        {
            Leave(member);
            bool isUnsent = e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                or HttpRequestError.SecureConnectionError;
            return new(isUnsent ? Verdict.NotSent : Verdict.Lost, default, $"{options.Endpoints[member]}: {Innermost(e)}");
        }
        catch (JsonException)
        {
            Leave(member);
            return new(Verdict.Lost, default, $"{options.Endpoints[member]} does not answer as etcd does");
        }
    }

    private async Task<Attempt> LogInAsync(int member, CancellationToken cancellation)
    {
        using RequestBody body = new(EtcdJson.Authenticate(options.User!, options.Password!));
        Attempt login = await ExchangeAsync(member, "/v3/auth/authenticate", body, cancellation);
        if (login.Verdict == Verdict.Lost) { return login with { Verdict = Verdict.NotSent }; }  // A token is nothing done.
        if (login.Verdict == Verdict.Refused) { return login; }
        token = EtcdJson.Text(EtcdJson.Get(login.Body, "token"));
        return token is null ? new(Verdict.Refused, default, $"{options.Endpoints[member]} gives no token") : login;
    }

    private async Task<Attempt> ExchangeAsync(int member, string path, RequestBody request, CancellationToken cancellation)
    {
        using HttpResponseMessage response =
            await SendAsync(member, path, request, HttpCompletionOption.ResponseContentRead, cancellation);
        byte[] body = await response.Content.ReadAsByteArrayAsync(cancellation);
        using JsonDocument document = EtcdJson.Parse(body);
        return response.IsSuccessStatusCode
            ? new(Verdict.Answered, document.RootElement.Clone(), string.Empty)
            : Judge(member, response.StatusCode, document.RootElement);
    }

    /// <summary>What an error of etcd means: some say that the request was not carried out, and asking again would not
    /// help.</summary>
    private Attempt Judge(int member, HttpStatusCode status, JsonElement error)
    {
        string message = EtcdJson.Text(EtcdJson.Get(error, "error"))
            ?? EtcdJson.Text(EtcdJson.Get(error, "message"))  // Where newer ones have it.
            ?? string.Empty;
        long code = EtcdJson.Number(EtcdJson.Get(error, "code"));
        string reason = $"{options.Endpoints[member]} answers {(int)status}: {message}";
        // The second is gRPC's own bound, half a megabyte above etcd's.
        if ((code == InvalidArgument && message.Contains("too large", StringComparison.Ordinal))
            || (code == ResourceExhausted && message.Contains("larger than max", StringComparison.Ordinal)))
        {
            return new(Verdict.Refused, default, reason) { Kind = EtcdReplyKind.TooLarge };
        }

        bool isOfToken = code == Unauthenticated
            || (code == InvalidArgument && message.Contains("auth store", StringComparison.Ordinal));
        if (isOfToken && options.User is not null && token is not null)
        {
            token = null;
            return new(Verdict.NotSent, default, reason);
        }

        if (code is InvalidArgument or PermissionDenied or Unauthenticated) { return new(Verdict.Refused, default, reason); }
        Leave(member);
        return new(Verdict.Lost, default, reason);
    }

    private async Task<HttpResponseMessage> SendAsync(
        int member, string path, RequestBody request, HttpCompletionOption completion, CancellationToken cancellation)
    {
        using HttpRequestMessage message = new(HttpMethod.Post, new Uri(options.Endpoints[member], path)) { Content = request };
        if (token is { } known) { message.Headers.TryAddWithoutValidation("Authorization", known); }
        return await http.SendAsync(message, completion, cancellation);
    }

    private static string Innermost(Exception e) => e.InnerException is { } inner ? Innermost(inner) : e.Message;

    /// <summary>What one member said.</summary>
    private enum Verdict
    {
        Answered,

        /// <summary>The request was not carried out by it; another may, or it may later.</summary>
        NotSent,

        /// <summary>The request may have been carried out.</summary>
        Lost,

        /// <summary>The request was not carried out, and no member will.</summary>
        Refused,
    }

    private readonly record struct Attempt(Verdict Verdict, JsonElement Body, string Reason)
    {
        internal EtcdReplyKind Kind { get; init; } = EtcdReplyKind.NotDone;
    }
}
