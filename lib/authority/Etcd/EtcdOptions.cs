using System.Security.Cryptography.X509Certificates;

namespace KvFs.Authority;

/// <summary>Where an etcd is and how it is asked.</summary>
public sealed class EtcdOptions
{
    /// <summary>Where its members listen for clients, best first: <c>http://host:2379</c> or <c>https://…</c>.</summary>
    public required IReadOnlyList<Uri> Endpoints { get; init; }

    /// <summary>What all keys begin with; one pool has it for itself.</summary>
    public string Prefix { get; init; } = "/kvfs/pool";

    /// <summary>The authorities that members must have their certificates from. Null: the system's.</summary>
    public X509Certificate2Collection? Authorities { get; init; }

    /// <summary>The certificate to show, with its key; asked at each new connection, from several threads.</summary>
    public Func<X509Certificate2?>? Certificate { get; init; }

    /// <summary>Who we are, if etcd asks for a password. Null: nobody.</summary>
    public string? User { get; init; }

    public string? Password { get; init; }

    /// <summary>Bytes of an encoded map: what etcd takes of one request by default (1.5 MiB), less what stands around
    /// it.</summary>
    public int MaxMapBytes { get; init; } = (3 << 19) - (8 << 10);

    /// <summary>How long one member is waited for before the next is asked: an election takes one to two
    /// seconds.</summary>
    public TimeSpan AttemptTime { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long all of them together are asked before the answer is "unavailable".</summary>
    public TimeSpan RequestTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Pause after all members were asked in vain, and between two tries of a watch.</summary>
    public TimeSpan RetryPause { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a watch may be quiet before it asks whether it has missed something: a member that was cut
    /// off from the others, or a connection that died without a word, says nothing.</summary>
    public TimeSpan QuietTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whose time all that is.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    internal void Validate()
    {
        if (Endpoints.Count == 0) { throw new ArgumentException("etcd needs an endpoint."); }
        foreach (Uri endpoint in Endpoints)
        {
            if (!endpoint.IsAbsoluteUri || endpoint.Scheme is not ("http" or "https"))
            {
                throw new ArgumentException(
                    $"'{endpoint}' is no endpoint of etcd: it must be http://host:port or https://host:port.");
            }
        }

        if (User is null != Password is null) { throw new ArgumentException("etcd needs a user and a password, or neither."); }
        if (string.IsNullOrEmpty(Prefix) || Prefix.EndsWith('/'))
        {
            throw new ArgumentException($"'{Prefix}' is no prefix of keys: it must not be empty, nor end with a slash.");
        }
    }
}
