using KvFs.Authority.Tests.Support;
using KvFs.Core;

namespace KvFs.Authority.Tests.File;

public sealed class FileAuthorityTests : AuthorityConformance
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("kvfs-authority-");

    private string Place => Path.Combine(folder.FullName, "map");

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        folder.Delete(recursive: true);
    }

    protected override IPoolAuthority Connect() => new FileAuthority(Place, poll: TimeSpan.FromMilliseconds(10));

    protected override byte[] Stored(PoolMap map) => MapFile.Encode(map);

    protected override Task PlantAsync(byte[] bytes)
    {
        // As a whole, like any program that knows what it does: half a file would be damage of another kind.
        string planted = Place + ".planted";
        System.IO.File.WriteAllBytes(planted, bytes);
        System.IO.File.Move(planted, Place, overwrite: true);
        return Task.CompletedTask;
    }

    protected override Task RemoveAsync()
    {
        System.IO.File.Delete(Place);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task A_file_with_any_wrong_bit_or_length_is_damaged()
    {
        await TestPool.PutAsync(Open(), TestPool.Found(nodes: 2, shards: 2));
        byte[] bytes = System.IO.File.ReadAllBytes(Place);
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            byte[] damaged = [.. bytes];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Damaged(MapFile.Decode(damaged));
        }

        for (int length = 0; length < bytes.Length; length++) { Damaged(MapFile.Decode(bytes.AsMemory(0, length))); }
        Damaged(MapFile.Decode((byte[])[.. bytes, 0]));
        Damaged(MapFile.Decode("kvfs-pool-map 2 and then something else, as long as that format wants it to be\n"u8.ToArray()));

        static void Damaged(AuthorityAnswer answer) =>
            Assert.Equal((AuthorityOutcome.Damaged, null), (answer.Outcome, answer.Map));
    }

    [Fact]
    public async Task What_a_writer_that_died_left_half_written_is_nothing_to_anybody()
    {
        System.IO.File.WriteAllText(Place + ".new", "half of a m");
        Assert.Equal(AuthorityAnswer.Ok(null), await Open().ReadAsync(TestTime.Limit()));
        PoolMap map = await TestPool.PutAsync(Open(), TestPool.Found());
        TestPool.Same(map, (await Open().ReadAsync(TestTime.Limit())).Map);
        Assert.Equal(["map", "map.lock"], folder.EnumerateFiles().Select(static file => file.Name).Order());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(Place));
    }

    [Fact]
    public async Task A_change_waits_for_whoever_holds_the_lock()
    {
        MapFolder other = new(Place);
        Task<AuthorityAnswer> swap;
        using (other.TryLock())
        {
            swap = Open().CompareAndSwapAsync(0, TestPool.Found(), TestTime.Limit());
            Assert.Null(other.TryLock());
            Assert.False(swap.IsCompleted);
            Assert.False(System.IO.File.Exists(Place));
        }

        Assert.Equal(AuthorityOutcome.Ok, (await swap).Outcome);
    }

    [Fact]
    public async Task A_lock_that_is_never_given_back_makes_a_change_impossible_and_reads_go_on()
    {
        PoolMap map = await TestPool.PutAsync(Open(), TestPool.Found());
        using IDisposable? held = new MapFolder(Place).TryLock();
        await using FileAuthority hasty = new(Place, clock: new LeapingClock());
        AuthorityAnswer answer = await hasty.CompareAndSwapAsync(1, TestPool.Next(map), TestTime.Limit());
        Assert.Equal(AuthorityOutcome.Unavailable, answer.Outcome);
        Assert.Contains("lock", answer.Reason, StringComparison.Ordinal);
        TestPool.Same(map, (await hasty.ReadAsync(TestTime.Limit())).Map);
    }

    [Fact]
    public async Task A_folder_that_goes_away_is_trouble_and_no_empty_pool()
    {
        DirectoryInfo inner = folder.CreateSubdirectory("inner");
        await using FileAuthority authority = new(Path.Combine(inner.FullName, "map"), poll: TimeSpan.FromMilliseconds(10));
        PoolMap map = await TestPool.PutAsync(authority, TestPool.Found());
        await using Watch watch = new(authority, after: 1);
        Task<PoolMap> next = watch.NextAsync();
        inner.MoveTo(Path.Combine(folder.FullName, "away"));
        Assert.Equal(AuthorityOutcome.Unavailable, (await authority.ReadAsync(TestTime.Limit())).Outcome);
        Assert.Equal(
            AuthorityOutcome.Unavailable, (await authority.CompareAndSwapAsync(1, TestPool.Next(map), TestTime.Limit())).Outcome);
        Assert.NotNull(authority.Trouble);
        inner.MoveTo(Path.Combine(folder.FullName, "inner"));
        PoolMap second = await TestPool.PutAsync(authority, TestPool.Next(map));
        TestPool.Same(second, await next);
        Assert.Null(authority.Trouble);
    }

    [Fact]
    public void A_folder_that_is_not_there_is_said_at_once() =>
        Assert.Throws<DirectoryNotFoundException>(() => new FileAuthority(Path.Combine(folder.FullName, "none", "map")));

    /// <summary>A clock on which a minute passes whenever it is looked at.</summary>
    private sealed class LeapingClock : TimeProvider
    {
        private long minutes;

        public override long GetTimestamp() => Interlocked.Increment(ref minutes) * 60 * TimestampFrequency;
    }
}
