using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvFs.Pki.Files;

namespace KvFs.Pki;

/// <summary>A root that signs the certificates of a pool's peers: ECDSA with P-256, SHA-256, signs no further authorities.
/// </summary>
/// <remarks>Not thread safe. Whoever has its key can be every peer of the pool. An authority that was made here names its pool
/// as the alternative name <c>kvfs://POOL</c>, and signs for no other.</remarks>
public sealed class CertificateAuthority : IDisposable
{
    /// <summary>The files of an authority in its folder.</summary>
    public const string CertificateFile = "ca.crt";
    public const string KeyFile = "ca.key";

    private const int LifeYears = 10;
    private const int SerialBytes = 16;

    /// <summary>Clocks of other machines may be behind by so much.</summary>
    private static readonly TimeSpan Backdated = TimeSpan.FromMinutes(5);

    private readonly TimeProvider clock;
    private readonly X509Certificate2 signer;
    private readonly CertificateFacts facts;

    private CertificateAuthority(X509Certificate2 signer, X509Certificate2Collection roots, TimeProvider clock)
    {
        this.clock = clock;
        this.signer = signer;
        Roots = roots;
        facts = CertificateFacts.Of(signer);
    }

    /// <summary>What peers are to trust: this authority, and others that its file has beside it while one takes over from
    /// another.</summary>
    public X509Certificate2Collection Roots { get; }

    /// <summary>The pool that it signs for; null, of an authority that was made elsewhere: any.</summary>
    public string? Pool => facts.Pool;

    public CertificateFacts Facts => facts;

    /// <summary>Makes one with a new key, valid for ten years.</summary>
    /// <exception cref="PkiException"><see cref="PkiFailure.Invalid"/>: the pool's name is none.</exception>
    public static CertificateAuthority Create(string pool, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(clock);
        PeerIdentity.CheckPool(pool);
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new(CommonName($"KvFs CA {pool}"), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(
            certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(
            X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        X509SubjectKeyIdentifierExtension own = new(request.PublicKey, critical: false);
        request.CertificateExtensions.Add(own);
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(own));
        request.CertificateExtensions.Add((SubjectNames.None with { Uris = [PeerIdentity.Scheme + pool] }).Encode());
        DateTimeOffset now = clock.GetUtcNow();
        X509SignatureGenerator signature = X509SignatureGenerator.CreateForECDsa(key);
        using X509Certificate2 signed = request.Create(
            request.SubjectName, signature, now - Backdated, now.AddYears(LifeYears), NewSerial());
        return new CertificateAuthority(
            signed.CopyWithPrivateKey(key), [X509CertificateLoader.LoadCertificate(signed.RawData)], clock);
    }

    /// <summary>Reads <c>ca.crt</c> and <c>ca.key</c>. Of several roots in the first, the one that the key is of signs.</summary>
    /// <exception cref="PkiException">A file is missing or malformed, the key is of no certificate there, or that one is no
    /// root, no authority, or not valid now.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    public static CertificateAuthority Load(string folder, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(clock);
        string certificatePath = Path.Combine(folder, CertificateFile);
        string keyPath = Path.Combine(folder, KeyFile);
        X509Certificate2Collection roots = PemFile.Read(certificatePath).Certificates();
        using AsymmetricAlgorithm key = PrivateKeyPem.Load(PemFile.Read(keyPath));
        X509Certificate2 own = roots.FirstOrDefault(root => PrivateKeyPem.Fits(key, root)) ?? throw new PkiException(
            PkiFailure.KeyMismatch, $"The key in {keyPath} is of no certificate in {certificatePath}.");
        if (key is not ECDsa)
        {
            throw new PkiException(PkiFailure.NotAuthority, $"The authority's key in {keyPath} must be an ECDSA key.");
        }
        CheckAuthority(certificatePath, CertificateFacts.Of(own), clock.GetUtcNow());
        return new CertificateAuthority(PrivateKeyPem.Join(own, key), roots, clock);
    }

    /// <summary>Writes <c>ca.crt</c> and <c>ca.key</c> (mode 0600), durable when this returns.</summary>
    /// <exception cref="PkiException"><see cref="PkiFailure.Exists"/>: one of them is there, and was left as it is.</exception>
    /// <exception cref="IOException">They cannot be written.</exception>
    public void Save(string folder)
    {
        using FolderUpdate update = new(folder);
        using ECDsa key = signer.GetECDsaPrivateKey()!;
        update.Stage(KeyFile, key.ExportPkcs8PrivateKeyPem() + "\n", FolderUpdate.Secret, replace: false);
        update.Stage(CertificateFile, Roots.ExportCertificatePems() + "\n", FolderUpdate.Public, replace: false);
        update.Commit();
    }

    /// <summary>Signs a certificate for a new key.</summary>
    /// <exception cref="PkiException">The request is wrong, of another pool, or this authority is not valid any more.
    /// </exception>
    public IssuedCertificate Issue(LeafRequest wanted)
    {
        ArgumentNullException.ThrowIfNull(wanted);
        wanted.Check();
        PeerIdentity identity = wanted.Identity;
        if (Pool is not null && identity.Pool != Pool)
        {
            throw new PkiException(PkiFailure.Foreign, $"This is the authority of pool '{Pool}': it signs nothing for '{identity.Pool}'.");
        }
        DateTimeOffset now = clock.GetUtcNow();
        CheckAuthority("the authority", facts, now);
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new(CommonName(identity.Name), key, HashAlgorithmName.SHA256);
        AddExtensions(request, wanted);
        using X509Certificate2 signed = request.Create(
            signer, Later(now - Backdated, facts.NotBefore), Earlier(now, wanted.Validity, facts.NotAfter), NewSerial());
        return new IssuedCertificate(signed.CopyWithPrivateKey(key), key);
    }

    /// <summary>What to issue to replace a certificate: the same names, and as long a life.</summary>
    /// <exception cref="PkiException"><see cref="PkiFailure.Foreign"/>: no root of this authority's file signed it, so what it
    /// says is worth nothing; or it names no peer.</exception>
    public LeafRequest RequestLike(X509Certificate2 certificate)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        using X509Chain chain = new();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(Roots);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        // One that has ended is replaced as well as one that is about to.
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        if (!chain.Build(certificate))
        {
            throw new PkiException(PkiFailure.Foreign, $"The certificate '{certificate.Subject}' was not signed by this authority.");
        }
        CertificateFacts old = CertificateFacts.Of(certificate);
        return new LeafRequest
        {
            Identity = old.Identity
                ?? throw new PkiException(PkiFailure.Foreign, $"The certificate '{certificate.Subject}' does not say who the peer is."),
            DnsNames = old.DnsNames,
            Addresses = old.Addresses,
            Usages = old.Usages,
            Validity = old.Life > Backdated ? old.Life - Backdated : old.Life,
        };
    }

    public void Dispose() => signer.Dispose();

    private static void CheckAuthority(string where, CertificateFacts facts, DateTimeOffset now)
    {
        if (!facts.IsAuthority)
        {
            throw new PkiException(PkiFailure.NotAuthority, $"The certificate '{facts.Subject}' in {where} may not sign others.");
        }
        if (facts.Subject != facts.Issuer)
        {
            throw new PkiException(
                PkiFailure.NotAuthority, $"The certificate '{facts.Subject}' in {where} is no root: '{facts.Issuer}' signed it.");
        }
        if (!facts.IsValid(now))
        {
            throw new PkiException(
                PkiFailure.NotValidNow,
                $"The certificate '{facts.Subject}' in {where} is valid from {facts.NotBefore:yyyy-MM-dd HH:mm:ss} to "
                + $"{facts.NotAfter:yyyy-MM-dd HH:mm:ss} UTC, and now it is {now:yyyy-MM-dd HH:mm:ss}.");
        }
    }

    private void AddExtensions(CertificateRequest request, LeafRequest wanted)
    {
        OidCollection usages = [];
        if (wanted.Usages.HasFlag(PeerUsages.Server)) { usages.Add(new Oid(CertificateFacts.ServerUsage)); }
        if (wanted.Usages.HasFlag(PeerUsages.Client)) { usages.Add(new Oid(CertificateFacts.ClientUsage)); }
        SubjectNames names = new(wanted.DnsNames, wanted.Addresses, [wanted.Identity.Uri]);
        bool hasKeyIdentifier = signer.Extensions.OfType<X509SubjectKeyIdentifierExtension>().Any();
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(usages, critical: false));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(
            signer, includeKeyIdentifier: hasKeyIdentifier, includeIssuerAndSerial: !hasKeyIdentifier));
        request.CertificateExtensions.Add(names.Encode());
    }

    /// <summary>A common name has 64 characters at most; the URI has all of it.</summary>
    private static X500DistinguishedName CommonName(string text)
    {
        const int most = 64;
        X500DistinguishedNameBuilder name = new();
        name.AddCommonName(text.Length <= most ? text : text[..most]);
        return name.Build();
    }

    private static byte[] NewSerial() => RandomNumberGenerator.GetBytes(SerialBytes);

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;

    /// <summary>Adds without running over the end of time.</summary>
    private static DateTimeOffset Earlier(DateTimeOffset now, TimeSpan validity, DateTimeOffset latest) =>
        validity < latest - now ? now + validity : latest;
}
