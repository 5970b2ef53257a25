using System.Buffers.Text;

namespace KvFs.Mount;

/// <summary>Which processors threads run on, as the kernel tells it. No call allocates.</summary>
/// <remarks>Made by the thread that uses it. Source: proc_pid_stat(5), field 39; sched_setaffinity(2).</remarks>
internal sealed unsafe class ThreadProcessors : IThreadProcessors
{
    /// <summary>Bytes of a mask: a bit for each of the 8192 processors that a kernel can be built for at the most.</summary>
    private const int MaskBytes = 1024;

    /// <summary>More than the line of a thread has: 52 numbers of at most 20 digits, and a name.</summary>
    private const int LineBytes = 1536;

    /// <summary>Blanks between the name of the program and the processor.</summary>
    private const int BlanksBefore = 37;

    /// <summary>Where the thread may run; none at all if the kernel does not say.</summary>
    private readonly byte[] allowed = new byte[MaskBytes];

    public ThreadProcessors()
    {
        fixed (byte* mask = allowed)
        {
            if (LibC.sched_getaffinity(0, MaskBytes, mask) != 0) { allowed.AsSpan().Clear(); }
        }
    }

    public int Of(uint thread)
    {
        ReadOnlySpan<byte> folder = "/proc/"u8;
        ReadOnlySpan<byte> name = "/stat\0"u8;
        Span<byte> path = stackalloc byte[32];
        folder.CopyTo(path);
        _ = Utf8Formatter.TryFormat(thread, path[folder.Length..], out int digits);
        name.CopyTo(path[(folder.Length + digits)..]);
        int file;
        fixed (byte* start = path) { file = LibC.open(start, LibC.O_RDONLY | LibC.O_CLOEXEC); }
        if (file < 0) { return -1; }
        byte* line = stackalloc byte[LineBytes];
        nint length = LibC.read(file, line, LineBytes);
        _ = LibC.close(file);
        return length > 0 ? ParseProcessor(new ReadOnlySpan<byte>(line, (int)length)) : -1;
    }

    public bool TryKeep(int processor)
    {
        if (processor is < 0 or >= 8 * MaskBytes) { return false; }
        byte bit = (byte)(1 << (processor % 8));
        if ((allowed[processor / 8] & bit) == 0) { return false; }
        byte* mask = stackalloc byte[MaskBytes];
        new Span<byte>(mask, MaskBytes).Clear();
        mask[processor / 8] = bit;
        return LibC.sched_setaffinity(0, MaskBytes, mask) == 0;
    }

    /// <remarks>It cannot fail for want of processors: whatever the thread may not use any more, the kernel leaves out.</remarks>
    public void Release()
    {
        fixed (byte* mask = allowed) { _ = LibC.sched_setaffinity(0, MaskBytes, mask); }
    }

    /// <summary>The processor in the line of a thread; -1: there is none. The name of the program is in parentheses, and may
    /// have any character in it.</summary>
    internal static int ParseProcessor(ReadOnlySpan<byte> line)
    {
        line = line[(line.LastIndexOf((byte)')') + 1)..];
        for (int blank = 0; blank < BlanksBefore; blank++)
        {
            int at = line.IndexOf((byte)' ');
            if (at < 0) { return -1; }
            line = line[(at + 1)..];
        }

        return Utf8Parser.TryParse(line, out int processor, out _) && processor >= 0 ? processor : -1;
    }
}
