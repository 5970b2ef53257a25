using KvFs.Core;
using KvFs.Node.Storage;

namespace KvFs.Integration.Tests.Drives;

/// <summary>The records of the one drive of a data folder that nobody serves, for tests that damage them.</summary>
internal sealed class StoredRecords : IDisposable
{
    private readonly JournaledKeyValueStore store;
    private readonly KeyValueBatch batch = new();
    private readonly DriveId drive;

    private StoredRecords(string data)
    {
        string folder = Assert.Single(Directory.GetDirectories(Path.Combine(data, "drives")));
        Assert.True(DriveId.TryParse(Path.GetFileName(folder), out drive));
        store = JournaledKeyValueStore.Open(Path.Combine(data, "db"));
    }

    /// <summary>Makes changes that are there when the folder is opened next, all of them or none.</summary>
    public static void Change(string data, Action<StoredRecords> change)
    {
        using StoredRecords records = new(data);
        change(records);
        Assert.True(records.batch.Count > 0);
        Assert.Equal(Status.Ok, records.store.Write(records.batch, logged: true));
        Assert.Equal(Status.Ok, records.store.SyncLog());
    }

    /// <summary>What a name leads to.</summary>
    public VNodeId Find(VNodeId parent, string name)
    {
        Assert.True(Dentry.TryDecode(PayloadOf(RecordKey.Dentry(parent, Bytes(name))), out Dentry found), name);
        return found.Child;
    }

    public void DeleteName(VNodeId parent, string name) => Delete(RecordKey.Dentry(parent, Bytes(name)));

    public void PutName(VNodeId parent, string name, VNodeId child)
    {
        byte[] payload = new byte[Dentry.PayloadBytes];
        new Dentry(child, VNodeKind.File).Encode(payload);
        Put(RecordKey.Dentry(parent, Bytes(name)), payload);
    }

    public void ChangeVNode(VNodeId id, Func<VNode, VNode> change)
    {
        Assert.True(VNode.TryDecode(PayloadOf(RecordKey.VNode(id)), out VNode vnode));
        byte[] payload = new byte[VNode.PayloadBytes];
        change(vnode).Encode(payload);
        Put(RecordKey.VNode(id), payload);
    }

    /// <summary>Deletes a file, its data and the counts of its blocks, so that nothing knows what the stored bytes are.</summary>
    /// <returns>How many blocks it had.</returns>
    public int Forget(VNodeId parent, string name)
    {
        VNodeId file = Find(parent, name);
        HashSet<ulong> blocks = [];
        List<Slice> runs = [];
        byte[] first = RecordKey.SlicesFrom(file, 0).In(drive).ToArray();
        byte[] end = RecordKey.SlicesFrom(file, uint.MaxValue).In(drive).ToArray();
        using (IRecordCursor slices = store.OpenCursor(Family.Namespace, first, end))
        {
            while (slices.MoveNext())
            {
                Assert.Equal(Status.Ok, RecordEnvelope.Read(slices.Value, out _, out ReadOnlySpan<byte> payload));
                Assert.True(MoveRuns.TryReadRuns(payload, runs));
            }
        }

        foreach (Slice run in runs)
        {
            if (run.Kind == SliceKind.Block) { blocks.Add(run.Block.Id.Value); }
        }

        foreach (ulong block in blocks) { Delete(RecordKey.Numbered(RecordKind.BlockLive, block)); }
        batch.DeleteRange(Family.Namespace, first, end);
        Delete(RecordKey.VNode(file));
        DeleteName(parent, name);
        return blocks.Count;
    }

    public void Dispose() => store.Dispose();

    private static byte[] Bytes(string name) => System.Text.Encoding.UTF8.GetBytes(name);

    private byte[] PayloadOf(RecordKey key)
    {
        ByteBuffer value = new();
        Assert.True(store.TryGet(Family.Namespace, key.In(drive), value));
        Assert.Equal(Status.Ok, RecordEnvelope.Read(value.Span, out _, out ReadOnlySpan<byte> payload));
        return payload.ToArray();
    }

    private void Put(RecordKey key, byte[] payload)
    {
        ByteBuffer value = new();
        Assert.True(store.TryGet(Family.Namespace, RecordKey.VNode(VNodeId.Root).In(drive), value));
        Assert.Equal(Status.Ok, RecordEnvelope.Read(value.Span, out RecordHeader root, out _));
        RecordEnvelope.Write(root.Written, whiteout: false, payload, value);
        batch.Put(Family.Namespace, key.In(drive), value.Span);
    }

    private void Delete(RecordKey key) => batch.Delete(Family.Namespace, key.In(drive));
}
