using System.Globalization;
using System.Text;

namespace KvFs.Mount.Tests.Kernel;

/// <summary>With the processors of this machine.</summary>
public sealed class ThreadProcessorsTests
{
    /// <summary>More than a kernel can be built for.</summary>
    private const int MaxProcessors = 8192;

    [Fact]
    public void A_thread_is_kept_on_each_processor_that_it_may_use_and_let_go()
    {
        OnOwnThread(() =>
        {
            ThreadProcessors processors = new();
            string before = AllowedHere();
            int kept = 0;
            for (int processor = 0; processor < MaxProcessors; processor++)
            {
                if (!processors.TryKeep(processor)) { continue; }
                kept++;
                Assert.Equal(processor.ToString(CultureInfo.InvariantCulture), AllowedHere());
                Assert.Equal(processor, processors.Of(OwnNumber()));
            }

            Assert.True(kept > 0);
            processors.Release();
            Assert.Equal(before, AllowedHere());
        });
    }

    [Fact]
    public void What_is_no_processor_is_refused()
    {
        OnOwnThread(() =>
        {
            ThreadProcessors processors = new();
            string before = AllowedHere();
            Assert.False(processors.TryKeep(-1));
            Assert.False(processors.TryKeep(8191));
            Assert.False(processors.TryKeep(int.MaxValue));
            Assert.Equal(before, AllowedHere());
        });
    }

    /// <remarks>No thread has number 0, nor one above 2^22.</remarks>
    [Theory]
    [InlineData(0u)]
    [InlineData(uint.MaxValue)]
    public void A_thread_that_does_not_exist_is_nowhere(uint thread) => Assert.Equal(-1, new ThreadProcessors().Of(thread));

    [Theory]
    [InlineData("cat", 3)]
    [InlineData("a) R (b", 0)]
    [InlineData(") 1 2 3", 8191)]
    public void The_processor_is_found_behind_any_name(string name, int processor) =>
        Assert.Equal(processor, Parse($"17 ({name}) S {Numbers(35)} {processor} 0 0 0"));

    [Theory]
    [InlineData("")]
    [InlineData("17 (cat")]
    [InlineData("17 (cat) S 1 2 3")]
    [InlineData("17 (cat) S 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 x 0")]
    [InlineData("17 (cat) S 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 -1 0")]
    [InlineData("17 (cat) S 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 99999999999 0")]
    public void A_line_without_one_has_none(string line) => Assert.Equal(-1, Parse(line));

    private static int Parse(string line) => ThreadProcessors.ParseProcessor(Encoding.ASCII.GetBytes(line));

    private static string Numbers(int count) => string.Join(' ', Enumerable.Repeat("7", count));

    private static uint OwnNumber() =>
        uint.Parse(File.ReadAllText("/proc/thread-self/stat").Split(' ')[0], CultureInfo.InvariantCulture);

    private static string AllowedHere() => File.ReadLines("/proc/thread-self/status")
        .Single(line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)).Split('\t')[1];

    /// <summary>What a thread is kept to must not stay behind on one of the pool.</summary>
    private static void OnOwnThread(Action check)
    {
        Exception? failure = null;
        Thread thread = new(() =>
        {
            try { check(); }
            catch (Exception e) { failure = e; }
        });
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromMinutes(1)));
        Assert.Null(failure);
    }
}
