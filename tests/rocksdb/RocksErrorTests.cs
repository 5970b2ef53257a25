namespace KvFs.RocksDb.Tests;

public sealed class RocksErrorTests
{
    [Theory]
    [InlineData("IO error: No space left on device: While appending to file: /db/1.log: x", RocksErrorCode.NoSpace)]
    [InlineData("IO error: Space limit reached: x", RocksErrorCode.NoSpace)]
    [InlineData("IO error: While lock file: /db/LOCK: Die Ressource ist belegt", RocksErrorCode.Locked)]
    [InlineData("IO error: lock hold by current process, acquire time 1 acquiring thread 2: /db/LOCK: x",
        RocksErrorCode.Locked)]
    [InlineData("IO error: While opening a file: /No space left on device/x: denied", RocksErrorCode.IoError)]
    [InlineData("IO error: No such file or directory: /db/CURRENT: x", RocksErrorCode.IoError)]
    [InlineData("NotFound: x", RocksErrorCode.NotFound)]
    [InlineData("Corruption: block checksum mismatch", RocksErrorCode.Corruption)]
    [InlineData("Not implemented: x", RocksErrorCode.NotSupported)]
    [InlineData("Invalid argument: IO error: x", RocksErrorCode.InvalidArgument)]
    [InlineData("Merge in progress: x", RocksErrorCode.MergeInProgress)]
    [InlineData("Result incomplete: x", RocksErrorCode.Incomplete)]
    [InlineData("Shutdown in progress: x", RocksErrorCode.ShutdownInProgress)]
    [InlineData("Operation timed out: x", RocksErrorCode.TimedOut)]
    [InlineData("Operation aborted: x", RocksErrorCode.Aborted)]
    [InlineData("Resource busy: x", RocksErrorCode.Busy)]
    [InlineData("Operation expired: x", RocksErrorCode.Expired)]
    [InlineData("Operation failed. Try again.: x", RocksErrorCode.TryAgain)]
    [InlineData("Compaction too large: x", RocksErrorCode.CompactionTooLarge)]
    [InlineData("Column family dropped: x", RocksErrorCode.ColumnFamilyDropped)]
    [InlineData("", RocksErrorCode.Unknown)]
    [InlineData("Something new: x", RocksErrorCode.Unknown)]
    public void The_text_of_an_error_tells_its_code(string message, RocksErrorCode code) =>
        Assert.Equal(code, RocksError.Parse(message));
}
