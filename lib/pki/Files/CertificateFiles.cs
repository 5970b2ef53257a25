using Microsoft.Extensions.Logging;

namespace KvFs.Pki.Files;

/// <summary>A peer's certificate and the roots that it trusts, from files that others replace while it runs: one by one, or all
/// at once by a symbolic link, as Kubernetes does with a mounted Secret.</summary>
/// <remarks>Thread safe. <see cref="Current"/> looks for replaced files at most once a second, in the thread of one of those
/// who ask; all others, and all in between, get what is in memory. Files that do not fit together are not used: the last good
/// ones stay, and the log has one warning for each state of the files.</remarks>
public sealed partial class CertificateFiles
{
    /// <summary>How long files that were replaced may go unnoticed by those who ask.</summary>
    public static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    /// <summary>Files that change while they are read are read again so often at once.</summary>
    private const int MaxReads = 3;

    private readonly string folder;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private readonly Lock looking = new();
    private CertificateSet current;
    private FilesStamp currentStamp;
    private FilesStamp? failedStamp;
    private long lookedAt;

    /// <summary>Reads the files.</summary>
    /// <param name="folder">Has <c>tls.crt</c>, <c>tls.key</c> and <c>ca.crt</c>.</param>
    /// <param name="clock">Says when a second is over.</param>
    /// <param name="logger">Hears of replaced files, and of those that cannot be used.</param>
    /// <exception cref="PkiException">One is missing or malformed, or the key is not of the certificate.</exception>
    /// <exception cref="IOException">One cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    public CertificateFiles(string folder, TimeProvider clock, ILogger<CertificateFiles> logger)
    {
        ArgumentNullException.ThrowIfNull(clock);
        ArgumentNullException.ThrowIfNull(logger);
        this.folder = Path.GetFullPath(folder);
        this.clock = clock;
        this.logger = logger;
        lookedAt = clock.GetTimestamp();
        currentStamp = FilesStamp.Of(this.folder);
        current = ReadSettled(ref currentStamp);
    }

    /// <summary>The last good ones.</summary>
    public CertificateSet Current
    {
        get
        {
            if (clock.GetElapsedTime(Volatile.Read(ref lookedAt)) >= LookInterval && looking.TryEnter())
            {
                try
                {
                    Look();
                }
                finally
                {
                    looking.Exit();
                }
            }
            return Volatile.Read(ref current);
        }
    }

    private void Look()
    {
        if (clock.GetElapsedTime(lookedAt) < LookInterval) { return; }  // Somebody looked while this thread was on its way.
        Volatile.Write(ref lookedAt, clock.GetTimestamp());
        FilesStamp stamp = FilesStamp.Of(folder);
        if (stamp == currentStamp)
        {
            failedStamp = null;
            return;
        }
        if (stamp == failedStamp) { return; }
        try
        {
            CertificateSet read = ReadSettled(ref stamp);
            Volatile.Write(ref current, read);
            currentStamp = stamp;
            failedStamp = null;
            LogReplaced(folder, read.Facts.Subject, read.Facts.NotAfter, read.Facts.Fingerprint, read.Roots.Count);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Whatever is wrong with the new ones, who has good ones goes on with them. Those that changed until the end were
            // not judged: if they stay as they are, they are read next time.
            failedStamp = e is UnsettledException ? null : stamp;
            LogKept(folder, e.Message, current.Facts.Subject, current.Facts.NotAfter);
        }
    }

    /// <summary>Reads files until they are the same before and after.</summary>
    /// <param name="stamp">Theirs; when this returns or throws, those of the files that were read.</param>
    private CertificateSet ReadSettled(ref FilesStamp stamp)
    {
        for (int reads = 1; ; reads++)
        {
            CertificateSet? read = null;
            PkiException? failure = null;
            try
            {
                stamp.Check(folder);
                read = CertificateSet.Read(folder);
            }
            catch (PkiException e)
            {
                failure = e;
            }
            FilesStamp after = FilesStamp.Of(folder);
            bool isSettled = after == stamp;
            stamp = after;
            if (isSettled) { return read ?? throw failure!; }
            if (reads == MaxReads) { throw new UnsettledException($"The files in {folder} change faster than they can be read."); }
        }
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "The certificates in {Folder} were replaced: now {Subject} until {NotAfter:u}, SHA-256 {Fingerprint}, {Roots} roots.")]
    private partial void LogReplaced(string folder, string subject, DateTimeOffset notAfter, string fingerprint, int roots);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The new certificates in {Folder} cannot be used: {Reason} Those from before stay: {Subject} until {NotAfter:u}.")]
    private partial void LogKept(string folder, string reason, string subject, DateTimeOffset notAfter);

    /// <summary>Files were other ones after each reading than before it.</summary>
    private sealed class UnsettledException(string message) : IOException(message);
}
