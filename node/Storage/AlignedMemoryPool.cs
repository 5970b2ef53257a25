using KvFs.Memory;

namespace KvFs.Node.Storage;

/// <summary>Keeps a few aligned buffers of one size for use again and again.</summary>
/// <remarks>Thread safe.</remarks>
internal sealed class AlignedMemoryPool(int bufferBytes, int kept)
{
    private readonly Stack<AlignedMemory> free = new(kept);

    internal int BufferBytes => bufferBytes;

    internal AlignedMemory Rent()
    {
        lock (free)
        {
            if (free.TryPop(out AlignedMemory? buffer)) { return buffer; }
        }

        return new AlignedMemory(bufferBytes);
    }

    internal void Return(AlignedMemory buffer)
    {
        lock (free)
        {
            if (free.Count < kept)
            {
                free.Push(buffer);
                return;
            }
        }

        ((IDisposable)buffer).Dispose();
    }
}
