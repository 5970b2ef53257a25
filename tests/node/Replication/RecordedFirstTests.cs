using KvFs.Core;
using KvFs.Node.Replication;
using KvFs.Node.Storage;
using KvFs.Node.Tests.Storage;

namespace KvFs.Node.Tests.Replication;

public sealed class RecordedFirstTests : IDisposable
{
    private readonly DataFolder data = new();
    private readonly CrashingStore store;

    public RecordedFirstTests() => store = new(data.KeyValues);

    public void Dispose() => data.Dispose();

    [Fact]
    public void What_is_set_is_written_once_and_a_newer_one_takes_its_place()
    {
        RecordedFirst first = new(store);
        int writes = 0;
        store.Done = _ => writes++;
        Assert.Equal(Status.Ok, first.Write());
        first.Set(Record(1));
        first.Set(Record(2));
        Assert.Equal(Status.Ok, first.Write());
        Assert.Equal(Status.Ok, first.Write());
        Assert.Equal((1, 2), (writes, Read(store)));
    }

    [Fact]
    public void What_comes_while_another_one_is_written_is_written_too_before_anything_goes_on()
    {
        RecordedFirst first = new(store);
        first.Set(Record(1));
        store.Done = _ =>
        {
            store.Done = null;
            first.Set(Record(2));
        };
        Assert.Equal(Status.Ok, first.Write());
        Assert.Equal(2, Read(store));
    }

    [Fact]
    public async Task A_node_has_written_it_before_it_has_anything_in_its_log()
    {
        await using LoneNode node = await LoneNode.StartAsync();
        for (byte number = 1; number < 20; number++)
        {
            node.RecordFirst(Record(number));
            Assert.Equal(Status.Ok, node.Log.Commit(LoneNode.Drive, TestPool.Put(LoneNode.Drive, number, new byte[10]), wantsDurable: false));
            Assert.Equal(number, Read(node.Store));
        }
    }

    private static KeyValueBatch Record(byte number)
    {
        KeyValueBatch batch = new();
        batch.Put(Family.System, "x"u8, [number]);
        return batch;
    }

    private static int Read(CrashingStore store)
    {
        ByteBuffer value = new();
        Assert.True(store.TryGet(Family.System, "x"u8, value));
        return value.Span[0];
    }
}
