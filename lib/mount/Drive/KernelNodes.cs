using System.Collections.Concurrent;
using System.Numerics;

namespace KvFs.Mount;

/// <summary>Which live nodes the kernel may have attributes and pages of: so that all of them can be dropped.</summary>
/// <remarks>
/// One bit for 8 neighbouring ids, set when the kernel is told of one of them and never cleared: ids are not reused,
/// and a FORGET may overtake the LOOKUP that follows it. So a bit too many is set now and then, which costs a futile
/// call; the memory is one byte for 64 VNodes that were ever made and looked at: 16 MiB for a billion. Thread safe.
/// </remarks>
internal sealed class KernelNodes
{
    private const int GroupShift = 3;
    private const int WordShift = 6;
    private const int WordsPerChunk = 512;
    private const int ChunkShift = 15;

    private readonly ConcurrentDictionary<ulong, ulong[]> chunks = new();

    /// <summary>The kernel gets to know a node.</summary>
    public void Add(ulong nodeId)
    {
        ulong group = nodeId >> GroupShift;
        ulong[] words = chunks.GetOrAdd(group >> ChunkShift, static _ => new ulong[WordsPerChunk]);
        ref ulong word = ref words[(group >> WordShift) % WordsPerChunk];
        ulong bit = 1UL << (int)(group % 64);
        if ((Volatile.Read(ref word) & bit) == 0) { Interlocked.Or(ref word, bit); }
    }

    /// <summary>Calls for every node that the kernel may know, ascending within a chunk.</summary>
    public void ForEach(Action<ulong> action)
    {
        foreach ((ulong chunk, ulong[] words) in chunks)
        {
            for (int at = 0; at < words.Length; at++)
            {
                ulong word = Volatile.Read(ref words[at]);
                ulong first = (chunk << ChunkShift) + ((ulong)at << WordShift);
                while (word != 0)
                {
                    CallGroup(first + (ulong)BitOperations.TrailingZeroCount(word), action);
                    word &= word - 1;
                }
            }
        }
    }

    private static void CallGroup(ulong group, Action<ulong> action)
    {
        for (ulong id = group << GroupShift; id >> GroupShift == group; id++) { action(id); }
    }
}
