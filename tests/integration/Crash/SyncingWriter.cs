using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvFs.Integration.Tests.Native;

namespace KvFs.Integration.Tests.Crash;

/// <summary>A program that syncs what it writes, in a folder of its own, and keeps in this process what was acknowledged
/// and what it was about.</summary>
/// <remarks>
/// One thread at a time. Four kinds of data: (1) a log that is appended to; (2) pages that are overwritten in place; (3) a
/// file that is replaced by rename; (4) small and large files that are made and removed. After a kill, each must be as it
/// was acknowledged, or as the one step that had no answer would have made it; <see cref="Verify"/> then goes on from what
/// is there.
/// </remarks>
internal sealed class SyncingWriter(string folder, int seed)
{
    private const int Pages = 64;
    private const int PageBytes = 4096;
    private const int RecordBytes = 200;
    private const int LargestFile = 300_000;

    // Flags of open(2) on Linux that are the same on x86-64 and arm64.
    private const int ReadWrite = 2, Create = 0x40, Truncate = 0x200, Append = 0x400, CloseOnExec = 0x80000;

    private readonly Random random = new(seed);
    private readonly int[] pages = new int[Pages];
    private readonly SortedDictionary<int, int> files = [];
    private int records;
    private int version;
    private int lastFile;

    /// <summary>What has no answer yet.</summary>
    private Pending pending;

    /// <summary>Steps that were answered after a sync.</summary>
    public long Acknowledged { get; private set; }

    /// <summary>Steps that a kill interrupted.</summary>
    public long Unanswered { get; private set; }

    /// <summary>Records, pages and files that were read after a kill and compared.</summary>
    public long Compared { get; private set; }

    private enum Step
    {
        None,
        Log,
        Page,
        Replace,
        Make,
        Remove,
    }

    /// <summary>Writes until the server is gone.</summary>
    /// <param name="onAcknowledged">After each step.</param>
    public void RunUntilKilled(Action onAcknowledged)
    {
        ArgumentNullException.ThrowIfNull(onAcknowledged);
        try
        {
            Directory.CreateDirectory(folder);
            SyncFolder(Path.GetDirectoryName(folder)!);
            while (true)
            {
                MakeStep();
                pending = default;
                Acknowledged++;
                onAcknowledged();
            }
        }
        catch (IOException)
        {
            // The server is gone: what the errors are is the kernel's matter.
        }
    }

    /// <summary>Fails if something that was acknowledged is not there.</summary>
    public void Verify(string place)
    {
        if (!Directory.Exists(folder))
        {
            Assert.True(records == 0 && version == 0 && files.Count == 0 && pages.All(static page => page == 0), place);
            return;
        }

        VerifyLog(place);
        VerifyPages(place);
        VerifyReplaced(place);
        VerifyFiles(place);
        Compared += records + Pages + 1 + files.Count;
        if (pending.Step != Step.None) { Unanswered++; }
        pending = default;
    }

    private void MakeStep()
    {
        switch (random.Next(5))
        {
            case 0:
                pending = new(Step.Log, records);
                Write(At("log"), Create | Append, Content(RecordBytes, records), 0, dataOnly: true);
                records++;
                break;
            case 1:
                int page = random.Next(Pages);
                pending = new(Step.Page, page);
                Write(At("pages"), Create, Content(PageBytes, pages[page] + 1), (long)page * PageBytes, dataOnly: false);
                pages[page]++;
                break;
            case 2:
                pending = new(Step.Replace, version + 1);
                Write(At("new"), Create | Truncate, Content(1000, version + 1), 0, dataOnly: false);
                File.Move(At("new"), At("current"), overwrite: true);
                SyncFolder(folder);
                version++;
                break;
            case 3 when files.Count > 0:
                int victim = files.Keys.ElementAt(random.Next(files.Count));
                pending = new(Step.Remove, victim);
                File.Delete(FileAt(victim));
                SyncFolder(folder);
                files.Remove(victim);
                break;
            default:
                lastFile++;
                pending = new(Step.Make, lastFile);
                int size = random.Next(3) == 0 ? random.Next(LargestFile) : random.Next(PageBytes);
                Write(FileAt(lastFile), Create, Content(size, lastFile), 0, dataOnly: false);
                files[lastFile] = size;
                break;
        }
    }

    private void VerifyLog(string place)
    {
        byte[] found = File.Exists(At("log")) ? File.ReadAllBytes(At("log")) : [];
        int most = records + (pending.Step == Step.Log ? 1 : 0);
        Assert.True(
            found.Length >= records * RecordBytes && found.Length <= most * RecordBytes,
            $"{place}: the log of {folder} has {found.Length} bytes, acknowledged are {records * RecordBytes}");
        for (int i = 0; i < records; i++)
        {
            Same(Content(RecordBytes, i), found.AsSpan(i * RecordBytes, RecordBytes), $"{place}: record {i} of {folder}");
        }

        // A record without an answer is there, or is not, or is torn. Torn, a program would cut it off.
        if (found.Length == most * RecordBytes)
        {
            records = most;
            return;
        }

        using FileStream log = File.OpenWrite(At("log"));
        log.SetLength(records * RecordBytes);
        log.Flush(flushToDisk: true);
    }

    private void VerifyPages(string place)
    {
        byte[] found = File.Exists(At("pages")) ? File.ReadAllBytes(At("pages")) : [];
        Array.Resize(ref found, Pages * PageBytes);
        for (int i = 0; i < Pages; i++)
        {
            ReadOnlySpan<byte> page = found.AsSpan(i * PageBytes, PageBytes);
            if (pending == new Pending(Step.Page, i) && page.SequenceEqual(Content(PageBytes, pages[i] + 1)))
            {
                pages[i]++;
                continue;
            }

            byte[] right = pages[i] == 0 ? new byte[PageBytes] : Content(PageBytes, pages[i]);
            Same(right, page, $"{place}: page {i} of {folder}, version {pages[i]}");
        }
    }

    private void VerifyReplaced(string place)
    {
        byte[] found = File.Exists(At("current")) ? File.ReadAllBytes(At("current")) : [];
        if (pending == new Pending(Step.Replace, version + 1) && found.AsSpan().SequenceEqual(Content(1000, version + 1)))
        {
            version++;
        }

        Same(version == 0 ? [] : Content(1000, version), found, $"{place}: {folder}/current, version {version}");
    }

    private void VerifyFiles(string place)
    {
        SortedSet<int> found =
        [
            .. Directory.EnumerateFiles(folder, "f*").Select(static path => int.Parse(Path.GetFileName(path).AsSpan(1))),
        ];
        if (pending.Step == Step.Remove && !found.Contains(pending.Number)) { files.Remove(pending.Number); }
        if (pending.Step == Step.Make && found.Remove(pending.Number)) { File.Delete(FileAt(pending.Number)); }
        Assert.True(files.Keys.SequenceEqual(found), $"{place}: names in {folder}: {string.Join(' ', found)}, "
            + $"acknowledged: {string.Join(' ', files.Keys)}, without an answer: {pending}");
        foreach ((int file, int size) in files)
        {
            Same(Content(size, file), File.ReadAllBytes(FileAt(file)), $"{place}: {FileAt(file)}");
        }
    }

    private static void Same(ReadOnlySpan<byte> right, ReadOnlySpan<byte> found, string what)
    {
        int same = right.CommonPrefixLength(found);
        Assert.True(
            same == right.Length && same == found.Length,
            $"{what}: {found.Length} bytes instead of {right.Length}, different from {same} on");
    }

    private string At(string name) => Path.Combine(folder, name);

    private string FileAt(int number) => At($"f{number}");

    /// <summary>Bytes that tell which writer, and which version, they are of.</summary>
    private byte[] Content(int length, int number)
    {
        byte[] bytes = new byte[length];
        new Random((seed * 100_003) + number).NextBytes(bytes);
        if (length >= sizeof(int)) { BinaryPrimitives.WriteInt32LittleEndian(bytes, number); }
        return bytes;
    }

    private static unsafe void Write(string path, int flags, byte[] content, long offset, bool dataOnly)
    {
        int descriptor = Check(LibC.open(path, flags | ReadWrite | CloseOnExec, 0x1A4));
        try
        {
            // Pinned while the call runs; the length is the array's.
            fixed (byte* bytes = content)
            {
                nint written = (flags & Append) != 0
                    ? LibC.write(descriptor, bytes, (nuint)content.Length)
                    : LibC.pwrite(descriptor, bytes, (nuint)content.Length, offset);
                if (Check((int)written) != content.Length) { throw new IOException("A short write."); }
            }

            Check(dataOnly ? LibC.fdatasync(descriptor) : LibC.fsync(descriptor));
        }
        finally
        {
            LibC.close(descriptor);
        }
    }

    private static void SyncFolder(string path)
    {
        int descriptor = Check(LibC.open(path, CloseOnExec, 0));
        try
        {
            Check(LibC.fsync(descriptor));
        }
        finally
        {
            LibC.close(descriptor);
        }
    }

    private static int Check(int answer) =>
        answer >= 0 ? answer : throw new IOException($"errno {Marshal.GetLastPInvokeError()}");

    private readonly record struct Pending(Step Step, int Number);
}
