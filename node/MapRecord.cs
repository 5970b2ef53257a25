using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Node;

/// <summary>The newest pool map under which a node of a pool has done anything: what it compares other maps with after a start, and what a
/// lost map is rebuilt from.</summary>
/// <remarks>Key: "M", version 1. Value: an envelope with the map's text (<see cref="PoolMapCodec"/>). It enters the journal before anything that
/// is done under the map, so it is durable no later than that. Source: docs/format.md#system.</remarks>
internal static class MapRecord
{
    private static ReadOnlySpan<byte> Key => "M\x01"u8;

    /// <summary>The change that records a map.</summary>
    public static KeyValueBatch Of(PoolMap map)
    {
        ByteBuffer value = new();
        RecordEnvelope.Write(default, whiteout: false, PoolMapCodec.Encode(map), value);
        KeyValueBatch batch = new();
        batch.Put(Family.System, Key, value.Span);
        return batch;
    }

    /// <summary>The map that is recorded; null: none is.</summary>
    /// <exception cref="StorageException">It cannot be read.</exception>
    public static PoolMap? Find(IKeyValueReader store)
    {
        ByteBuffer value = new();
        if (!store.TryGet(Family.System, Key, value)) { return null; }
        string reason = string.Empty;
        PoolMap? map = null;
        Status status = RecordEnvelope.Read(value.Span, out _, out ReadOnlySpan<byte> text);
        if (status == Status.Ok) { status = PoolMapCodec.TryDecode(text.ToArray(), out map, out reason); }
        if (status == Status.Ok) { return map; }
        string why = reason.Length == 0 ? $"{status}" : $"{status}: {reason}";
        throw new StorageException(status, $"The pool map that this node knew last cannot be read ({why}). {StorageException.AdviceFor(status)}");
    }
}
