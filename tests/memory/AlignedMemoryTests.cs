using System.Globalization;

namespace KvFs.Memory;

public sealed class AlignedMemoryTests
{
    [Theory]
    [InlineData(1, 4 << 10)]
    [InlineData(4097, 4 << 10)]
    [InlineData((2 << 20) - 1, 4 << 10)]
    [InlineData(2 << 20, 2 << 20)]
    [InlineData((4 << 20) + 1, 2 << 20)]
    public unsafe void It_begins_on_the_boundary_that_its_size_asks_for(int length, int boundary)
    {
        using AlignedMemory memory = new(length);

        Assert.Equal(0, (nint)memory.Pointer % boundary);
        Assert.Equal(length, memory.GetSpan().Length);
        Assert.Equal(length, memory.Memory.Length);
        memory.GetSpan().Fill(7);
        using System.Buffers.MemoryHandle last = memory.Memory[(length - 1)..].Pin();
        Assert.Equal(7, *(byte*)last.Pointer);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void Memory_of_no_bytes_is_refused(int length) => Assert.Throws<ArgumentOutOfRangeException>(() => new AlignedMemory(length));

    [Fact]
    public void What_was_freed_has_no_bytes()
    {
        AlignedMemory memory = new(4 << 20);
        ((IDisposable)memory).Dispose();
        ((IDisposable)memory).Dispose();

        Assert.True(memory.GetSpan().IsEmpty);
    }

    [Fact]
    public unsafe void The_kernel_was_asked_for_large_pages()
    {
        using AlignedMemory memory = new(4 << 20);
        memory.GetSpan().Clear();

        string flags = FlagsOf((ulong)memory.Pointer);

        // "hg": advised to use large pages. A kernel without them refuses the advice.
        Assert.Equal(File.Exists("/sys/kernel/mm/transparent_hugepage/enabled"), flags.Split(' ').Contains("hg"));
    }

    /// <summary>What the kernel notes of the memory that has an address: the VmFlags of /proc/self/smaps (proc_pid_smaps(5)).</summary>
    private static string FlagsOf(ulong address)
    {
        bool isInside = false;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            string[] range = line.Split(' ')[0].Split('-');
            if (range.Length == 2
                && ulong.TryParse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong from)
                && ulong.TryParse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong to))
            {
                isInside = address >= from && address < to;
            }
            else if (isInside && line.StartsWith("VmFlags:", StringComparison.Ordinal)) { return line; }
        }

        throw new InvalidOperationException("no mapping has the address");
    }
}
