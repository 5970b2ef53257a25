using KvFs.Mount;
using KvFs.Protocol;
using Microsoft.Extensions.Logging;

namespace KvFs.Cli.Hosting;

/// <summary>The one place where a drive and the mount are put together.</summary>
internal sealed partial class MountStart(ILoggerFactory loggers)
{
    private const string FuseConfiguration = "/etc/fuse.conf";

    private readonly ILogger log = loggers.CreateLogger("KvFs.Mount");

    /// <param name="session">Moves to the mount if that works; else it stays the caller's.</param>
    /// <param name="drive">What mount(8) shows as the source.</param>
    /// <param name="directory">Existing.</param>
    /// <param name="readOnly">Nobody can write.</param>
    /// <exception cref="FuseMountException">It did not work; the message says what to do.</exception>
    public DriveMount Start(IDriveSession session, string drive, string directory, bool readOnly) =>
        DriveMount.Start(session, directory, new DriveMountOptions
        {
            FsName = drive,
            ReadOnly = readOnly,
            AllowOther = MayAllowOthers(),
            OnFault = LogFault,
        });

    /// <summary>fusermount3 refuses to let other users in unless the administrator allowed it.</summary>
    private static bool MayAllowOthers() =>
        Environment.IsPrivilegedProcess
            || (File.Exists(FuseConfiguration)
                && File.ReadLines(FuseConfiguration).Any(line => line.Trim() == "user_allow_other"));

    private void LogFault(FuseFault fault) => LogFault(fault.Message, fault.Exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Fault}")]
    private partial void LogFault(string fault, Exception? exception);
}
