using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace KvFs.Core;

/// <summary>The pool map as text: JSON with sorted keys, one line.</summary>
/// <remarks>
/// <c>{"format":1,"minInSync":2,"nextNode":4,"nodes":[{"addresses":["a:1"],"disk":"(32
/// hex)","id":1,"name":"a","place":"a", "state":"up","weight":100,"zone":"z"}],"pool":"(32
/// hex)","replicas":3,"revision":7,"shards":[{"enough":1,"epoch":2,"inSync":[{"boot": "(32 hex)","disk":"(32
/// hex)","node":1}],"learners":[],"primary":1,"signedOver":false}]}</c>. A map with a shard that ever lost something is of format 2:
/// each shard has a field more, <c>"loss":null</c> or <c>"loss":{"at":1,"by":"x","endEpoch":1,"endIndex":9,"epoch":2,"gone":[1],
/// "why":""}</c>. A format that is not known is refused, and so is every field
/// that the format does not have, that is missing or stands twice: a change of the fields is another format. Encoding
/// gives the same bytes for the same map. Source: docs/placement.md#the-text-of-the-map.
/// </remarks>
public static class PoolMapCodec
{
    public const int Format = 1;

    /// <summary>Of a map in which a loss is on record.</summary>
    public const int FormatWithLosses = 2;

    internal static readonly string[] StateNames = ["up", "draining", "gone"];

    private static readonly JsonWriterOptions Plain =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>The bytes of a map, at most <see cref="PoolLimits.MapBytes"/>.</summary>
    public static byte[] Encode(PoolMap map)
    {
        ArrayBufferWriter<byte> buffer = new(16 << 10);
        bool hasLosses = map.Shards.Any(static entry => entry.Loss is not null);
        using (Utf8JsonWriter json = new(buffer, Plain))
        {
            json.WriteStartObject();
            json.WriteNumber("format"u8, hasLosses ? FormatWithLosses : Format);
            json.WriteNumber("minInSync"u8, map.Settings.MinInSync);
            json.WriteNumber("nextNode"u8, map.NextNode.Value);
            json.WriteStartArray("nodes"u8);
            foreach (PoolNode node in map.Nodes) { Write(json, node); }
            json.WriteEndArray();
            json.WriteString("pool"u8, map.Pool.ToString());
            json.WriteNumber("replicas"u8, map.Settings.Replicas);
            json.WriteNumber("revision"u8, map.Revision);
            json.WriteStartArray("shards"u8);
            foreach (ShardEntry entry in map.Shards) { Write(json, entry, hasLosses); }
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Reads a map: Ok; Corrupt if it is none, or breaks a rule; NotSupported if it is of another format;
    /// TooLarge. The reason is for people.</summary>
    public static Status TryDecode(ReadOnlyMemory<byte> text, out PoolMap? map, out string reason)
    {
        map = null;
        if (text.Length > PoolLimits.MapBytes)
        {
            reason = $"{text.Length} bytes are more than a map may have ({PoolLimits.MapBytes})";
            return Status.TooLarge;
        }

        return PoolMapReader.Read(text, out map, out reason);
    }

    private static void Write(Utf8JsonWriter json, PoolNode node)
    {
        json.WriteStartObject();
        json.WriteStartArray("addresses"u8);
        foreach (string address in node.Addresses) { json.WriteStringValue(address); }
        json.WriteEndArray();
        json.WriteString("disk"u8, node.Disk.ToString());
        json.WriteNumber("id"u8, node.Id.Value);
        json.WriteString("name"u8, node.Name);
        json.WriteString("place"u8, node.Place);
        json.WriteString("state"u8, StateNames[(int)node.State - 1]);
        json.WriteNumber("weight"u8, node.Weight);
        json.WriteString("zone"u8, node.Zone);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, ShardEntry entry, bool hasLosses)
    {
        json.WriteStartObject();
        json.WriteNumber("enough"u8, entry.Enough);
        json.WriteNumber("epoch"u8, entry.Epoch.Value);
        json.WriteStartArray("inSync"u8);
        foreach (InSyncReplica copy in entry.InSync)
        {
            json.WriteStartObject();
            json.WriteString("boot"u8, copy.Boot.ToString());
            json.WriteString("disk"u8, copy.Disk.ToString());
            json.WriteNumber("node"u8, copy.Node.Value);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("learners"u8);
        foreach (NodeId learner in entry.Learners) { json.WriteNumberValue(learner.Value); }
        json.WriteEndArray();
        if (hasLosses) { Write(json, entry.Loss); }
        json.WriteNumber("primary"u8, entry.Primary.Value);
        json.WriteBoolean("signedOver"u8, entry.IsSignedOver);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, ShardLoss? loss)
    {
        json.WritePropertyName("loss"u8);
        if (loss is null)
        {
            json.WriteNullValue();
            return;
        }

        json.WriteStartObject();
        json.WriteNumber("at"u8, loss.AtMs);
        json.WriteString("by"u8, loss.By);
        json.WriteNumber("endEpoch"u8, loss.End.Epoch.Value);
        json.WriteNumber("endIndex"u8, loss.End.Index.Value);
        json.WriteNumber("epoch"u8, loss.Epoch.Value);
        json.WriteStartArray("gone"u8);
        foreach (NodeId node in loss.Gone) { json.WriteNumberValue(node.Value); }
        json.WriteEndArray();
        json.WriteString("why"u8, loss.Why);
        json.WriteEndObject();
    }
}
