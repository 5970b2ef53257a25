using System.Net;
using System.Net.Http.Headers;

namespace KvFs.Authority;

/// <summary>The JSON of a request, which knows whether any of it was handed to a connection: what was not cannot have been
/// carried out.</summary>
internal sealed class RequestBody : ByteArrayContent
{
    internal RequestBody(byte[] json)
        : base(json)
    {
        Headers.ContentType = new MediaTypeHeaderValue("application/json");
    }

    internal bool IsOnItsWay { get; private set; }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        IsOnItsWay = true;
        return base.SerializeToStreamAsync(stream, context, cancellationToken);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        IsOnItsWay = true;
        return base.SerializeToStreamAsync(stream, context);
    }
}
