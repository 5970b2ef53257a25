namespace KvFs.Bench.Tests;

public sealed class SocketBytesTests
{
    private const string Told = """
        ESTAB 0 0 127.0.0.1:4100 127.0.0.1:4200 users:(("kvfs",pid=12,fd=5)) cubic bytes_sent:1000 bytes_acked:990
        ESTAB 0 0 127.0.0.1:4200 127.0.0.1:4100 users:(("kvfs",pid=13,fd=6)) cubic bytes_acked:1 bytes_sent:20 segs_out:3
        ESTAB 0 0 127.0.0.1:4300 127.0.0.1:4100 users:(("kvfs",pid=13,fd=7)) cubic rcv_space:5
        ESTAB 0 0 127.0.0.1:9 127.0.0.1:8 users:(("other",pid=123,fd=1)) cubic bytes_sent:555
        """;

    [Theory]
    [InlineData(1020, 12, 13)]
    [InlineData(20, 13)]
    public void What_the_sockets_of_some_processes_sent_is_added_up(long expected, params int[] processes) =>
        Assert.Equal(expected, SocketBytes.Sum(Told, processes));

    [Fact]
    public void Who_has_no_socket_is_not_known_to_have_sent_nothing() => Assert.Null(SocketBytes.Sum(Told, [1]));
}
