using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;
using KvFs.Core;
using KvFs.Protocol;

namespace KvFs.Client.Tests;

/// <summary>Blocks in memory, durable at once. Fails as it is told.</summary>
public sealed class MemoryBlocks : IBlockService
{
    private readonly ConcurrentDictionary<BlockName, byte[]> blocks = new();
    private int reads;
    private int writes;

    /// <summary>Asked before every write: what it is to answer.</summary>
    public Func<Status>? OnWrite { get; set; }

    /// <summary>Asked when a block's bytes are stored and would be synced: what that is to answer.</summary>
    public Func<Status>? OnSync { get; set; }

    /// <summary>Asked before every read: what it is to answer.</summary>
    public Func<Status>? OnRead { get; set; }

    /// <summary>Answers come later, from other threads.</summary>
    public bool IsSlow { get; set; }

    /// <summary>A read is under way when it is asked for the first time whether it has ended, and has at the second.</summary>
    public bool EndsReadsWhileAsked { get; set; }

    public int Reads => Volatile.Read(ref reads);

    public int Writes => Volatile.Read(ref writes);

    public long Bytes => blocks.Values.Sum(block => (long)block.Length);

    public async ValueTask<Status> WriteBlockAsync(BlockName name, ReadOnlyMemory<byte> content)
    {
        if (IsSlow) { await Task.Yield(); }
        Status status = OnWrite?.Invoke() ?? Status.Ok;
        if (status != Status.Ok) { return status; }
        Interlocked.Increment(ref writes);
        byte[] bytes = content.ToArray();
        return blocks.GetOrAdd(name, bytes).AsSpan().SequenceEqual(bytes) ? OnSync?.Invoke() ?? Status.Ok : Status.Exists;
    }

    public ValueTask<Status> ReadBlockAsync(BlockName name, uint offset, Memory<byte> destination)
    {
        Status status = OnRead?.Invoke() ?? Status.Ok;
        if (status != Status.Ok) { return new(status); }
        Interlocked.Increment(ref reads);
        if (IsSlow) { return ReadSlowlyAsync(name, offset, destination); }
        Status read = Read(name, offset, destination.Span);
        return EndsReadsWhileAsked ? new(new EndingAnswer(read), 0) : new(read);
    }

    public void Prefetch(BlockName name, uint offset, uint length)
    {
    }

    private async ValueTask<Status> ReadSlowlyAsync(BlockName name, uint offset, Memory<byte> destination)
    {
        await Task.Yield();
        return Read(name, offset, destination.Span);
    }

    private Status Read(BlockName name, uint offset, Span<byte> destination)
    {
        if (!blocks.TryGetValue(name, out byte[]? block)) { return Status.NotFound; }
        if (offset + destination.Length > block.Length) { return Status.Invalid; }
        block.AsSpan((int)offset, destination.Length).CopyTo(destination);
        return Status.Ok;
    }

    /// <summary>An answer that arrives between two questions for it.</summary>
    private sealed class EndingAnswer(Status status) : IValueTaskSource<Status>
    {
        private bool wasAsked;

        public Status GetResult(short token) => status;

        public ValueTaskSourceStatus GetStatus(short token)
        {
            if (wasAsked) { return ValueTaskSourceStatus.Succeeded; }
            wasAsked = true;
            return ValueTaskSourceStatus.Pending;
        }

        public void OnCompleted(
            Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            continuation(state);
    }
}
