using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace KvFs.Authority;

/// <summary>A key as etcd has it.</summary>
/// <param name="Value">Its bytes.</param>
/// <param name="ModRevision">The store's revision at which they were put.</param>
internal readonly record struct EtcdValue(byte[] Value, long ModRevision);

/// <summary>Requests and answers of etcd's JSON gateway, version 3.</summary>
/// <remarks>Numbers are strings; what is false, zero or empty is left out; keys and values are base64. What is not as
/// expected reads as left out: the caller finds that something is missing.</remarks>
internal static class EtcdJson
{
    internal static byte[] Write(Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Opens an answer.</summary>
    /// <exception cref="JsonException">It is none, or has text that is no Unicode: reading that would fail only
    /// later.</exception>
    internal static JsonDocument Parse(ReadOnlyMemory<byte> answer)
    {
        ReadOnlySpan<byte> bytes = answer.Span;
        bool hasSurrogates = bytes.IndexOf("\\ud"u8) >= 0 || bytes.IndexOf("\\uD"u8) >= 0;
        return hasSurrogates || !Utf8.IsValid(bytes)
            ? throw new JsonException("Text that is no Unicode.")
            : JsonDocument.Parse(answer);
    }

    internal static byte[] Range(byte[] key) => Write(json => json.WriteBase64String("key", key));

    internal static byte[] Authenticate(string name, string password) => Write(json =>
    {
        json.WriteString("name", name);
        json.WriteString("password", password);
    });

    /// <summary>Watches one key, from a revision of the store on.</summary>
    internal static byte[] Watch(byte[] key, long start) => Write(json =>
    {
        json.WriteStartObject("create_request");
        json.WriteBase64String("key", key);
        json.WriteString("start_revision", start.ToString(CultureInfo.InvariantCulture));
        json.WriteEndObject();
    });

    /// <summary>Puts two values if the first key was put last at a revision of the store (0: it is not there);
    /// otherwise reads both.
    /// </summary>
    internal static byte[] Swap(
        (byte[] Key, byte[] Value) compared, long modRevision, (byte[] Key, byte[] Value) beside) => Write(json =>
    {
        json.WriteStartArray("compare");
        json.WriteStartObject();
        json.WriteString("result", "EQUAL");
        json.WriteString("target", "MOD");
        json.WriteBase64String("key", compared.Key);
        json.WriteString("mod_revision", modRevision.ToString(CultureInfo.InvariantCulture));
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteStartArray("success");
        foreach ((byte[] key, byte[] value) in ((byte[], byte[])[])[compared, beside])
        {
            json.WriteStartObject();
            json.WriteStartObject("request_put");
            json.WriteBase64String("key", key);
            json.WriteBase64String("value", value);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("failure");
        foreach (byte[] key in (byte[][])[compared.Key, beside.Key])
        {
            json.WriteStartObject();
            json.WriteStartObject("request_range");
            json.WriteBase64String("key", key);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    /// <summary>The member of an object; undefined if there is none.</summary>
    internal static JsonElement Get(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) ? value : default;

    internal static IEnumerable<JsonElement> Items(JsonElement element) =>
        element.ValueKind == JsonValueKind.Array ? element.EnumerateArray() : [];

    internal static string? Text(JsonElement element) =>
        element.ValueKind == JsonValueKind.String ? element.GetString() : null;

    internal static bool IsTrue(JsonElement element) => element.ValueKind == JsonValueKind.True;

    /// <summary>A number, as string or as number; 0 if it is left out.</summary>
    internal static long Number(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String when long.TryParse(
            element.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out long value) => value,
        JsonValueKind.Number when element.TryGetInt64(out long value) => value,
        _ => 0,
    };

    internal static byte[] Bytes(JsonElement element) =>
        element.ValueKind == JsonValueKind.String && element.TryGetBytesFromBase64(out byte[]? value) ? value : [];

    /// <summary>The store's revision at which an answer was given; 0 if it says none, which no answer to us
    /// does.</summary>
    internal static long StoreRevision(JsonElement answer) => Number(Get(Get(answer, "header"), "revision"));

    /// <summary>What a range of one key found.</summary>
    internal static EtcdValue? Found(JsonElement range)
    {
        foreach (JsonElement found in Items(Get(range, "kvs"))) { return Value(found); }
        return null;
    }

    internal static EtcdValue Value(JsonElement found) => new(Bytes(Get(found, "value")), Number(Get(found, "mod_revision")));
}
