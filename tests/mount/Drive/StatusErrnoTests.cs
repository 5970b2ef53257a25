using KvFs.Core;

namespace KvFs.Mount.Tests.Drive;

/// <summary>What programs are told of each status.</summary>
public sealed class StatusErrnoTests
{
    /// <summary>Written down once more, so that a change of the table is a decision.</summary>
    private static readonly Dictionary<Status, int> s_expected = new()
    {
        [Status.Ok] = 0,
        [Status.NotFound] = Errno.ENOENT,
        [Status.Exists] = Errno.EEXIST,
        [Status.NoSpace] = Errno.ENOSPC,
        [Status.NoInodes] = Errno.ENOSPC,
        [Status.NotDirectory] = Errno.ENOTDIR,
        [Status.IsDirectory] = Errno.EISDIR,
        [Status.NotEmpty] = Errno.ENOTEMPTY,
        [Status.Invalid] = Errno.EINVAL,
        [Status.NameTooLong] = Errno.ENAMETOOLONG,
        [Status.Busy] = Errno.EAGAIN,
        [Status.StaleEpoch] = Errno.EIO,
        [Status.Conflict] = Errno.EIO,
        [Status.Unknown] = Errno.EIO,
        [Status.Lost] = Errno.EIO,
        [Status.Corrupt] = Errno.EIO,
        [Status.IoError] = Errno.EIO,
        [Status.TooLarge] = Errno.EFBIG,
        [Status.TooManyLinks] = Errno.EMLINK,
        [Status.NotPermitted] = Errno.EPERM,
        [Status.AccessDenied] = Errno.EACCES,
        [Status.ReadOnly] = Errno.EROFS,
        [Status.CrossDevice] = Errno.EXDEV,
        [Status.Stale] = Errno.ESTALE,
        [Status.NotSupported] = Errno.EOPNOTSUPP,
        [Status.Locked] = Errno.EAGAIN,
        [Status.Deadlock] = Errno.EDEADLK,
        [Status.SessionExpired] = Errno.EIO,
        [Status.Unavailable] = Errno.EIO,
        [Status.TimedOut] = Errno.EIO,
        [Status.Range] = Errno.ERANGE,
        [Status.NoAttribute] = Errno.ENODATA,
        [Status.ValueTooLong] = Errno.E2BIG,
        [Status.InUse] = Errno.EBUSY,
        [Status.NoData] = Errno.ENXIO,
        [Status.QuotaExceeded] = Errno.EDQUOT,
        [Status.Interrupted] = Errno.EINTR,
        [Status.NoLocks] = Errno.ENOLCK,
    };

    [Fact]
    public void Every_status_has_its_errno()
    {
        foreach (Status status in Enum.GetValues<Status>())
        {
            Assert.True(s_expected.ContainsKey(status), $"{status} is not in the list of this test");
            Assert.Equal(s_expected[status], StatusErrno.Of(status));
        }
    }

    [Fact]
    public void A_status_of_a_newer_node_is_an_input_output_error() =>
        Assert.Equal(Errno.EIO, StatusErrno.Of((Status)255));
}
