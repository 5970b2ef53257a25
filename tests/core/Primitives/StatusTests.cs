namespace KvFs.Core.Tests.Primitives;

public class StatusTests
{
    /// <summary>As released: a number that changes here is a peer that misunderstands.</summary>
    private const string Released =
        "0 Ok|1 NotFound|2 Exists|3 NoSpace|4 NoInodes|5 NotDirectory|6 IsDirectory|7 NotEmpty|8 Invalid|9 NameTooLong|10 Busy"
        + "|11 StaleEpoch|12 Conflict|13 Unavailable|20 Unknown|21 Lost|22 TimedOut|30 Corrupt|31 IoError|32 TooLarge"
        + "|33 TooManyLinks|34 NotPermitted|35 AccessDenied|36 ReadOnly|37 CrossDevice|38 Stale|39 NotSupported|40 Locked"
        + "|41 Deadlock|42 SessionExpired|43 Range|44 NoAttribute|45 ValueTooLong|46 InUse|47 NoData|48 QuotaExceeded"
        + "|49 Interrupted|50 NoLocks";

    [Fact]
    public void Every_status_keeps_its_number() => Assert.Equal(
        Released.Split('|'), Enum.GetValues<Status>().Order().Select(static status => $"{(byte)status} {status}"));
}
