using System.Text;
using System.Text.Json;

namespace KvFs.Authority.Tests.Etcd;

/// <summary>Bytes that come as answers.</summary>
public sealed class EtcdAnswerTests
{
    private const string Put =
        "{\"result\":{\"header\":{\"revision\":\"12\"},\"events\":[{\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"12\",\"value\":\"aGk=\"}}]}}";

    [Fact]
    public void Events_are_told_apart_though_zero_and_false_are_left_out()
    {
        EtcdEvent put = Assert.Single(Read(Put));
        Assert.Equal((EtcdEventKind.Put, "hi", 12), (put.Kind, Encoding.ASCII.GetString(put.Value.Value), put.Value.ModRevision));
        Assert.Equal(EtcdEventKind.Opened, Assert.Single(Read("{\"result\":{\"created\":true}}")).Kind);
        Assert.Equal(
            EtcdEventKind.Deleted,
            Assert.Single(Read("{\"result\":{\"events\":[{\"type\":\"DELETE\",\"kv\":{\"key\":\"YQ==\"}}]}}")).Kind);
        Assert.Equal(
            EtcdEventKind.Compacted,
            Assert.Single(Read("{\"result\":{\"canceled\":true,\"compact_revision\":\"9\"}}")).Kind);
        Assert.Empty(Read("{\"result\":{\"header\":{\"revision\":\"12\"}}}"));
    }

    [Theory]
    [InlineData("{\"result\":{\"canceled\":true,\"created\":true,\"cancel_reason\":\"permission denied\"}}")]
    [InlineData("{\"error\":{\"code\":5}}")]
    [InlineData("[]")]
    [InlineData("")]
    [InlineData("{\"result\":7}")]
    public void A_line_that_ends_a_watch_or_is_none_is_an_error(string line) =>
        Assert.ThrowsAny<JsonException>(() => Read(line));

    [Fact]
    public void No_line_does_more_than_that()
    {
        Random random = new(20_261_130);
        string[] words = ["{", "}", "[", "]", "\"", ":", ",", "null", "true", "1", "\\ud800", "\"result\"", "\"events\"", "\"kv\"", "\u00e9", "-"];
        int read = 0;
        for (int round = 0; round < 50_000; round++)
        {
            StringBuilder line = new(Put);
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                int at = random.Next(line.Length);
                if (random.Next(2) == 0) { line.Remove(at, Math.Min(random.Next(1, 20), line.Length - at)); }
                else { line.Insert(at, words[random.Next(words.Length)]); }
                if (line.Length == 0) { break; }
            }

            byte[] bytes = Encoding.UTF8.GetBytes(line.ToString());
            if (bytes.Length > 0 && random.Next(3) == 0) { bytes[random.Next(bytes.Length)] = (byte)random.Next(256); }
            try
            {
                read += EtcdWatch.Read(bytes).Count;
            }
            catch (JsonException)
            {
                // What a watch reports as such.
            }
        }

        Assert.True(read > 1000);
    }

    private static List<EtcdEvent> Read(string line) => EtcdWatch.Read(Encoding.UTF8.GetBytes(line));
}
