using System.Runtime.InteropServices;
using System.Text.Json;
using KvFs.Cli.Control;
using KvFs.Cli.Native;
using Microsoft.Win32.SafeHandles;

namespace KvFs.Cli.Hosting;

/// <summary>What a process does first when it was started to stay in the background: it leaves its terminal, logs into a
/// file, and tells its parent over a pipe, which was its standard output, how the start goes.</summary>
internal sealed class BackgroundStart : IProgress<ProgressReport>, IDisposable
{
    public const string LogName = "kvfs.log";

    /// <summary>Bytes of a log above which the next start sets it aside as kvfs.log.1.</summary>
    private const long MaxLogBytes = 16 << 20;

    private readonly FileStream parent;
    private readonly Lock gate = new();

    private BackgroundStart(FileStream parent) => this.parent = parent;

    /// <summary>To be called before anything has used the console: .NET keeps its own copies of the descriptors.</summary>
    /// <exception cref="IOException">The log cannot be opened.</exception>
    public static BackgroundStart Enter(string logPath)
    {
        int pipe = Check(Posix.fcntl(Posix.StandardOutput, Posix.FDupFdCloexec, Posix.StandardError + 1));
        FileStream parent = new(new SafeFileHandle(pipe, ownsHandle: true), FileAccess.Write, bufferSize: 0);
        SetAside(logPath);
        int log = Check(Posix.open(logPath, Posix.OWrOnly | Posix.OCreate | Posix.OAppend | Posix.OCloexec, Posix.OwnerReadWrite));
        Check(Posix.dup2(log, Posix.StandardOutput));
        Check(Posix.dup2(log, Posix.StandardError));
        _ = Posix.close(log);
        using (SafeFileHandle nothing = File.OpenHandle("/dev/null"))
        {
            Check(Posix.dup2((int)nothing.DangerousGetHandle(), Posix.StandardInput));
        }

        // Fails only for a leader of a process group, which a child never is; then it is no worse than before.
        _ = Posix.setsid();
        Environment.CurrentDirectory = "/";
        return new BackgroundStart(parent);
    }

    public void Report(ProgressReport value) => Write(new AnswerLine<StatusReport>(Progress: value));

    public void Succeed(StatusReport status) => Write(new AnswerLine<StatusReport>(Result: status));

    public void Fail(ControlError error) => Write(new AnswerLine<StatusReport>(Error: error));

    public void Dispose() => parent.Dispose();

    private void Write(AnswerLine<StatusReport> line)
    {
        try
        {
            lock (gate)
            {
                parent.Write(JsonSerializer.SerializeToUtf8Bytes(line, ControlJson.Default.AnswerLineStatusReport));
                parent.Write("\n"u8);
            }
        }
        catch (IOException)
        {
            // The parent was killed; the start goes on without a listener, as it was asked to.
        }
    }

    private static void SetAside(string logPath)
    {
        FileInfo log = new(logPath);
        if (log.Exists && log.Length > MaxLogBytes) { File.Move(logPath, logPath + ".1", overwrite: true); }
    }

    private static int Check(int result) => result >= 0
        ? result
        : throw new IOException($"The process cannot go to the background: {Marshal.GetLastPInvokeErrorMessage()}.");
}
