using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki;

/// <summary>The alternative names of a certificate's subject: those kinds that KvFs uses.</summary>
/// <remarks>.NET reads no URIs, and writes them as it would normalise those of the web; so both are done here. Source: RFC
/// 5280, section 4.2.1.6.</remarks>
internal sealed record SubjectNames(
    ImmutableArray<string> DnsNames, ImmutableArray<IPAddress> Addresses, ImmutableArray<string> Uris)
{
    /// <summary>subjectAltName.</summary>
    private const string Oid = "2.5.29.17";

    private static readonly Asn1Tag DnsTag = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag UriTag = new(TagClass.ContextSpecific, 6);
    private static readonly Asn1Tag AddressTag = new(TagClass.ContextSpecific, 7);

    public static SubjectNames None { get; } = new([], [], []);

    /// <summary>The names of a certificate; none if it has no such extension. False: it is malformed, or there are two.</summary>
    public static bool TryRead(X509Certificate2 certificate, [NotNullWhen(true)] out SubjectNames? names)
    {
        names = null;
        try
        {
            X509Extension[] found = [.. certificate.Extensions.Where(extension => extension.Oid?.Value == Oid)];
            names = found switch
            {
                [] => None,
                [X509Extension only] => Decode(only.RawData),
                _ => null,
            };
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            return false;
        }
        return names is not null;
    }

    /// <exception cref="AsnContentException">It is not DER of names.</exception>
    public static SubjectNames Decode(ReadOnlyMemory<byte> encoded)
    {
        ImmutableArray<string>.Builder dnsNames = ImmutableArray.CreateBuilder<string>();
        ImmutableArray<IPAddress>.Builder addresses = ImmutableArray.CreateBuilder<IPAddress>();
        ImmutableArray<string>.Builder uris = ImmutableArray.CreateBuilder<string>();
        AsnReader whole = new(encoded, AsnEncodingRules.DER);
        AsnReader names = whole.ReadSequence();
        whole.ThrowIfNotEmpty();
        while (names.HasData)
        {
            Asn1Tag tag = names.PeekTag();
            if (tag.HasSameClassAndValue(DnsTag)) { dnsNames.Add(ReadText(names, DnsTag)); }
            else if (tag.HasSameClassAndValue(UriTag)) { uris.Add(ReadText(names, UriTag)); }
            else if (tag.HasSameClassAndValue(AddressTag)) { addresses.Add(ReadAddress(names)); }
            else { _ = names.ReadEncodedValue(); }
        }
        return new SubjectNames(dnsNames.ToImmutable(), addresses.ToImmutable(), uris.ToImmutable());
    }

    /// <summary>The extension with these names, in the order DNS, addresses, URIs.</summary>
    public X509Extension Encode()
    {
        AsnWriter writer = new(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            foreach (string name in DnsNames) { writer.WriteCharacterString(UniversalTagNumber.IA5String, name, DnsTag); }
            foreach (IPAddress address in Addresses) { writer.WriteOctetString(address.GetAddressBytes(), AddressTag); }
            foreach (string uri in Uris) { writer.WriteCharacterString(UniversalTagNumber.IA5String, uri, UriTag); }
        }
        return new X509Extension(Oid, writer.Encode(), critical: false);
    }

    private static string ReadText(AsnReader names, Asn1Tag tag) =>
        names.ReadCharacterString(UniversalTagNumber.IA5String, tag);

    private static IPAddress ReadAddress(AsnReader names)
    {
        byte[] bytes = names.ReadOctetString(AddressTag);
        return bytes.Length is 4 or 16 ? new IPAddress(bytes) : throw new AsnContentException("An address has 4 or 16 bytes.");
    }
}
