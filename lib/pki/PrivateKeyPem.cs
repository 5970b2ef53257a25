using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvFs.Pki;

/// <summary>The private key in a PEM file: ECDSA or RSA, as PKCS #8 or in the older form of each.</summary>
internal static class PrivateKeyPem
{
    private const string EcdsaOid = "1.2.840.10045.2.1";
    private const string RsaOid = "1.2.840.113549.1.1.1";

    /// <summary>Labels that end so hold private keys; EC PARAMETERS, which openssl puts before one, do not.</summary>
    private const string LabelEnd = "PRIVATE KEY";

    /// <exception cref="PkiException">There is no key, more than one, or one that cannot be used.</exception>
    public static AsymmetricAlgorithm Load(PemFile file)
    {
        PemBlock[] keys = [.. file.Blocks.Where(block => block.Label.EndsWith(LabelEnd, StringComparison.Ordinal))];
        if (keys.Length != 1)
        {
            throw new PkiException(
                PkiFailure.Malformed, $"{file.Path} has {(keys.Length == 0 ? "no private key" : "more than one private key")}.");
        }
        try
        {
            return Load(file.Path, keys[0]);
        }
        catch (Exception e) when (e is CryptographicException or AsnContentException or PlatformNotSupportedException)
        {
            // The last is what a curve that OpenSSL does not know leads to.
            throw new PkiException(PkiFailure.Malformed, $"The private key in {file.Path} is malformed: {e.Message}", e);
        }
    }

    /// <summary>Whether a certificate is of this key.</summary>
    public static bool Fits(AsymmetricAlgorithm key, X509Certificate2 certificate) =>
        key.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(certificate.PublicKey.ExportSubjectPublicKeyInfo());

    /// <summary>The certificate together with its key.</summary>
    /// <exception cref="PkiException">The certificate says that its key is not for signatures, or says it in no way that can be
    /// understood.</exception>
    public static X509Certificate2 Join(X509Certificate2 certificate, AsymmetricAlgorithm key)
    {
        try
        {
            return key is ECDsa ecdsa ? certificate.CopyWithPrivateKey(ecdsa) : certificate.CopyWithPrivateKey((RSA)key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new PkiException(
                PkiFailure.Malformed, $"The certificate '{certificate.Subject}' cannot be used with its key: {e.Message}", e);
        }
    }

    private static AsymmetricAlgorithm Load(string path, PemBlock block)
    {
        string kind = block.Label switch
        {
            "PRIVATE KEY" => AlgorithmOf(block.Bytes),
            "EC PRIVATE KEY" => EcdsaOid,
            "RSA PRIVATE KEY" => RsaOid,
            "ENCRYPTED PRIVATE KEY" => throw new PkiException(
                PkiFailure.Malformed, $"The private key in {path} is behind a passphrase: decrypt it first (openssl pkey)."),
            _ => block.Label,
        };
        return kind switch
        {
            EcdsaOid => Import(ECDsa.Create(), block, static (key, bytes) => key.ImportECPrivateKey(bytes, out _)),
            RsaOid => Import(RSA.Create(), block, static (key, bytes) => key.ImportRSAPrivateKey(bytes, out _)),
            _ => throw new PkiException(
                PkiFailure.Malformed, $"The private key in {path} is of a kind that is not supported: use ECDSA or RSA."),
        };
    }

    private static TKey Import<TKey>(TKey key, PemBlock block, Action<TKey, byte[]> importOwnForm)
        where TKey : AsymmetricAlgorithm
    {
        try
        {
            if (block.Label == "PRIVATE KEY") { key.ImportPkcs8PrivateKey(block.Bytes, out _); }
            else { importOwnForm(key, block.Bytes); }
            return key;
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    /// <summary>PrivateKeyInfo ::= SEQUENCE { version, privateKeyAlgorithm SEQUENCE { algorithm, … }, … } (RFC 5208).</summary>
    private static string AlgorithmOf(byte[] bytes)
    {
        AsnReader info = new AsnReader(bytes, AsnEncodingRules.BER).ReadSequence();
        _ = info.ReadInteger();
        return info.ReadSequence().ReadObjectIdentifier();
    }
}
