using System.Collections;

namespace KvFs.Grpc;

/// <summary>Names and values beside the messages of a call: headers before them, trailers behind them.</summary>
/// <remarks>Not thread safe. Names are lower case; those that end in <c>-bin</c> have bytes as values (base64 on the wire),
/// all others printable ASCII. A name may occur several times. Source: PROTOCOL-HTTP2.md, "Custom-Metadata".</remarks>
#pragma warning disable CA1710 // gRPC's own word for it.
public sealed class GrpcMetadata : IReadOnlyCollection<GrpcMetadataEntry>
#pragma warning restore CA1710
{
    /// <summary>Google's richer errors: a serialized <c>google.rpc.Status</c>. The only reserved name that callers may use.
    /// </summary>
    public const string StatusDetails = "grpc-status-details-bin";

    private const string BinarySuffix = "-bin";

    /// <summary>HTTP's own names, which would change the request instead of travelling with it.</summary>
    private static readonly HashSet<string> HttpNames =
    [
        "connection", "content-encoding", "content-length", "content-type", "host", "keep-alive", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade", "user-agent",
    ];

    private readonly List<GrpcMetadataEntry> entries = [];

    public int Count => entries.Count;

    /// <exception cref="ArgumentException">The name or the value cannot travel.</exception>
    public void Add(string name, string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        CheckName(name);
        if (IsBinary(name)) { throw new ArgumentException($"{name}: a name that ends in -bin has bytes as its value", nameof(name)); }
        if (value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new ArgumentException($"{name}: a value is printable ASCII; end the name in -bin for bytes", nameof(value));
        }
        entries.Add(new GrpcMetadataEntry(name, value, null));
    }

    /// <exception cref="ArgumentException">The name cannot travel, or does not end in <c>-bin</c>.</exception>
    public void Add(string name, byte[] value)
    {
        ArgumentNullException.ThrowIfNull(value);
        CheckName(name);
        if (!IsBinary(name)) { throw new ArgumentException($"{name}: only a name that ends in -bin has bytes", nameof(name)); }
        entries.Add(new GrpcMetadataEntry(name, null, value));
    }

    /// <summary>The last value of a name, as text; null if there is none.</summary>
    public string? Get(string name) => entries.FindLast(entry => entry.Name == name).Text;

    /// <summary>The last value of a name that ends in <c>-bin</c>; null if there is none.</summary>
    public byte[]? GetBytes(string name) => entries.FindLast(entry => entry.Name == name).Bytes;

    public IEnumerator<GrpcMetadataEntry> GetEnumerator() => entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal static bool IsBinary(string name) => name.EndsWith(BinarySuffix, StringComparison.Ordinal);

    /// <summary>Whether a name from the wire is metadata of the caller and not part of the protocol.</summary>
    internal static bool IsCustom(string name) =>
        name == StatusDetails
        || (name.Length > 0 && name[0] != ':' && !name.StartsWith("grpc-", StringComparison.Ordinal)
            && !HttpNames.Contains(name));

    /// <summary>Takes what came over the wire, unchecked but for what must be decoded.</summary>
    /// <returns>False if a binary value is not base64.</returns>
    internal bool TryAddReceived(string name, string value)
    {
        if (!IsBinary(name))
        {
            entries.Add(new GrpcMetadataEntry(name, value, null));
            return true;
        }
        // Intermediaries may have joined several values of one name by commas, which base64 has not.
        foreach (string part in value.Split(','))
        {
            if (!Wire.BinaryValue.TryDecode(part.Trim(), out byte[] bytes)) { return false; }
            entries.Add(new GrpcMetadataEntry(name, null, bytes));
        }
        return true;
    }

    private static void CheckName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        foreach (char each in name)
        {
            if (each is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_' or '-' or '.') { continue; }
            throw new ArgumentException($"{name}: a name has lower-case letters, digits, '_', '-' and '.'", nameof(name));
        }
        if (!IsCustom(name)) { throw new ArgumentException($"{name}: this name belongs to the protocol", nameof(name)); }
    }
}

/// <summary>One name and its value: <paramref name="Bytes"/> if the name ends in <c>-bin</c>, else <paramref name="Text"/>.
/// </summary>
public readonly record struct GrpcMetadataEntry(string Name, string? Text, byte[]? Bytes);
