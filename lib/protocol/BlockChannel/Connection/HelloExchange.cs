using KvFs.Core;
using KvFs.Protocol.BlockChannel.Wire;

namespace KvFs.Protocol.BlockChannel.Connection;

/// <summary>Hellos over a transport.</summary>
internal static class HelloExchange
{
    public static ValueTask SendAsync(Transport transport, in Hello hello)
    {
        byte[] bytes = new byte[Hello.MaxBytes];
        return transport.SendAsync(bytes.AsMemory(0, hello.Put(bytes)));
    }

    /// <summary>Receives the peer's.</summary>
    /// <returns>As <see cref="Hello.Get"/>; Invalid also: these bytes are no hello; Unavailable: the peer ended before.</returns>
    /// <exception cref="IOException">The connection broke, or ended in the middle of the hello.</exception>
    public static async Task<(Status Status, Hello Hello)> ReceiveAsync(FrameReceiver receiver)
    {
        if (!await receiver.FillAsync(Hello.Size).ConfigureAwait(false)) { return (Status.Unavailable, default); }
        Status status = Hello.GetLength(receiver.Received, out int length);
        if (status != Status.Ok) { return (status, default); }
        await receiver.FillAsync(length).ConfigureAwait(false);
        status = Hello.Get(receiver.Received[..length], out Hello hello);
        receiver.Take(length);
        return (status, hello);
    }
}
