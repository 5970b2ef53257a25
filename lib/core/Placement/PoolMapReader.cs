using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace KvFs.Core;

/// <summary>Reads the text of a pool map. What it does not know exactly it refuses, with the place where that
/// stands.</summary>
internal static class PoolMapReader
{
    /// <summary>Objects in lists in an object in a list in the map.</summary>
    private const int MaxDepth = 8;

    /// <summary>Printable ASCII but the backslash, and what JSON has as white space: so no string has an
    /// escape.</summary>
    private static readonly SearchValues<byte> Characters = SearchValues.Create(
        [.. Enumerable.Range(' ', '~' - ' ' + 1).Select(static code => (byte)code).Where(static code => code != '\\'), .. "\t\n\r"u8]);

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = MaxDepth, AllowDuplicateProperties = false };

    private static readonly string[] MapFields =
        ["format", "minInSync", "nextNode", "nodes", "pool", "replicas", "revision", "shards"];

    private static readonly string[] NodeFields = ["addresses", "disk", "id", "name", "place", "state", "weight", "zone"];

    private static readonly string[] ShardFields = ["enough", "epoch", "inSync", "learners", "primary", "signedOver"];

    private static readonly string[] ShardFieldsWithLoss = [.. ShardFields, "loss"];

    private static readonly string[] LossFields = ["at", "by", "endEpoch", "endIndex", "epoch", "gone", "why"];

    private static readonly string[] CopyFields = ["boot", "disk", "node"];

    internal static Status Read(ReadOnlyMemory<byte> text, out PoolMap? map, out string reason)
    {
        map = null;
        int strange = text.Span.IndexOfAnyExcept(Characters);
        if (strange >= 0)
        {
            reason = $"byte {strange} is none that occurs in a map";
            return Status.Corrupt;
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(text, Strict);
            JsonElement root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object
                && root.TryGetProperty("format"u8, out JsonElement format)
                && format.ValueKind == JsonValueKind.Number
                && format.GetRawText() is var number && number is not ("1" or "2"))
            {
                reason = $"it is of format {Shorten(number)}, and this program knows up to format {PoolMapCodec.FormatWithLosses}";
                return Status.NotSupported;
            }

            return ReadMap(root, out map, out reason) ? Status.Ok : Status.Corrupt;
        }
        catch (JsonException e)
        {
            reason = $"it is no JSON: {e.Message}";
            return Status.Corrupt;
        }
        catch (MapTextException e)
        {
            reason = e.Message;
            return Status.Corrupt;
        }
    }

    private static bool ReadMap(JsonElement root, out PoolMap? map, out string reason)
    {
        JsonElement[] fields = Fields(root, MapFields, "the map");
        bool hasLosses = Number(fields[0], PoolMapCodec.FormatWithLosses, "format") switch
        {
            PoolMapCodec.Format => false,
            PoolMapCodec.FormatWithLosses => true,
            _ => throw new MapTextException("format is not known"),
        };
        return PoolMap.TryCreate(
            new(Hex(fields[4], "pool")),
            Number(fields[6], ulong.MaxValue, "revision"),
            new((int)Number(fields[5], int.MaxValue, "replicas"), (int)Number(fields[1], int.MaxValue, "minInSync")),
            Node(fields[2], "nextNode"),
            [.. Items(fields[3], PoolLimits.Nodes, "nodes").Select(static (node, at) => ReadNode(node, $"nodes[{at}]"))],
            [.. Items(fields[7], PoolLimits.Shards, "shards").Select((shard, at) => ReadShard(shard, hasLosses, $"shards[{at}]"))],
            out map,
            out reason);
    }

    private static PoolNode ReadNode(JsonElement element, string at)
    {
        JsonElement[] fields = Fields(element, NodeFields, at);
        int state = Array.IndexOf(PoolMapCodec.StateNames, Text(fields[5], $"{at}.state"));
        if (state < 0) { throw new MapTextException($"{at}.state is none that is known"); }
        return new(
            Node(fields[2], $"{at}.id"),
            Text(fields[3], $"{at}.name"),
            Text(fields[4], $"{at}.place"),
            [.. Items(fields[0], PoolLimits.Addresses, $"{at}.addresses").Select(address => Text(address, $"{at}.addresses"))],
            Text(fields[7], $"{at}.zone"),
            (uint)Number(fields[6], uint.MaxValue, $"{at}.weight"),
            (NodeState)(state + 1),
            new(Hex(fields[1], $"{at}.disk")));
    }

    private static ShardEntry ReadShard(JsonElement element, bool hasLoss, string at)
    {
        JsonElement[] fields = Fields(element, hasLoss ? ShardFieldsWithLoss : ShardFields, at);
        return new(
            new(Number(fields[1], ulong.MaxValue, $"{at}.epoch")),
            Node(fields[4], $"{at}.primary"),
            [.. Items(fields[2], PoolLimits.Copies, $"{at}.inSync").Select(copy => ReadCopy(copy, $"{at}.inSync"))],
            [.. Items(fields[3], PoolLimits.Copies, $"{at}.learners").Select(learner => Node(learner, $"{at}.learners"))],
            (int)Number(fields[0], int.MaxValue, $"{at}.enough"),
            Flag(fields[5], $"{at}.signedOver"),
            hasLoss && fields[6].ValueKind != JsonValueKind.Null ? ReadLoss(fields[6], $"{at}.loss") : null);
    }

    private static ShardLoss ReadLoss(JsonElement element, string at)
    {
        JsonElement[] fields = Fields(element, LossFields, at);
        return new(
            new(Number(fields[4], ulong.MaxValue, $"{at}.epoch")),
            new(new(Number(fields[2], ulong.MaxValue, $"{at}.endEpoch")), new(Number(fields[3], ulong.MaxValue, $"{at}.endIndex"))),
            [.. Items(fields[5], PoolLimits.Copies, $"{at}.gone").Select(node => Node(node, $"{at}.gone"))],
            Number(fields[0], ulong.MaxValue, $"{at}.at"),
            Text(fields[1], $"{at}.by"),
            Text(fields[6], $"{at}.why"));
    }

    private static InSyncReplica ReadCopy(JsonElement element, string at)
    {
        JsonElement[] fields = Fields(element, CopyFields, at);
        return new(Node(fields[2], $"{at}.node"), new(Hex(fields[1], $"{at}.disk")), new(Hex(fields[0], $"{at}.boot")));
    }

    /// <summary>The values of exactly these fields, in their order.</summary>
    private static JsonElement[] Fields(JsonElement element, string[] names, string at)
    {
        if (element.ValueKind != JsonValueKind.Object) { throw new MapTextException($"{at} is no object"); }
        JsonElement[] values = new JsonElement[names.Length];
        int found = 0;
        foreach (JsonProperty property in element.EnumerateObject())
        {
            int index = Array.FindIndex(names, property.NameEquals);
            if (index < 0) { throw new MapTextException($"{at} has a field that is not known: {Shorten(property.Name)}"); }
            values[index] = property.Value;
            found++;
        }

        int missing = Array.FindIndex(values, static value => value.ValueKind == JsonValueKind.Undefined);
        if (missing >= 0) { throw new MapTextException($"{at} has no field {names[missing]}"); }
        Invariant.Check(found == names.Length);
        return values;
    }

    private static JsonElement.ArrayEnumerator Items(JsonElement element, int most, string at)
    {
        if (element.ValueKind != JsonValueKind.Array) { throw new MapTextException($"{at} is no list"); }
        int length = element.GetArrayLength();
        return length <= most
            ? element.EnumerateArray()
            : throw new MapTextException($"{at} has {length} items, more than {most}");
    }

    private static ulong Number(JsonElement element, ulong most, string at) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetUInt64(out ulong value) && value <= most
            ? value
            : throw new MapTextException($"{at} is no whole number, or too large");

    private static bool Flag(JsonElement element, string at) =>
        element.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? element.GetBoolean()
            : throw new MapTextException($"{at} is neither true nor false");

    private static NodeId Node(JsonElement element, string at) => new((uint)Number(element, uint.MaxValue, at));

    private static string Text(JsonElement element, string at) =>
        element.ValueKind == JsonValueKind.String ? element.GetString()! : throw new MapTextException($"{at} is no string");

    private static UInt128 Hex(JsonElement element, string at)
    {
        string text = Text(element, at);
        return text.Length == 32 && !text.AsSpan().ContainsAnyExcept(HexDigits)
            && UInt128.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out UInt128 value)
                ? value
                : throw new MapTextException($"{at} is not 32 lower-case hexadecimal digits");
    }

    private static string Shorten(string text) => text.Length <= 20 ? text : text[..20];

    /// <summary>Ends the reading of one text, and no more: never seen outside.</summary>
    private sealed class MapTextException(string message) : Exception(message);
}
