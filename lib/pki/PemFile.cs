using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace KvFs.Pki;

/// <summary>One block of a PEM file (RFC 7468).</summary>
/// <param name="Label">What it says that it is, such as CERTIFICATE.</param>
/// <param name="Bytes">What its base64 stands for.</param>
internal sealed record PemBlock(string Label, byte[] Bytes);

/// <summary>A PEM file: blocks, and any text between them. A block that is broken makes the file malformed: what .NET
/// skips in silence could be the one authority that matters.</summary>
internal sealed class PemFile
{
    /// <summary>As much as a Kubernetes Secret can hold.</summary>
    public const int MaxBytes = 1 << 20;

    public const string CertificateLabel = "CERTIFICATE";

    private const string Begin = "-----BEGIN";

    private PemFile(string path, IReadOnlyList<PemBlock> blocks)
    {
        Path = path;
        Blocks = blocks;
    }

    /// <summary>Where it was read from, for messages.</summary>
    public string Path { get; }

    public IReadOnlyList<PemBlock> Blocks { get; }

    /// <exception cref="PkiException">It is missing, too large, or not PEM.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    public static PemFile Read(string path)
    {
        if (Directory.Exists(path)) { throw new PkiException(PkiFailure.Invalid, $"{path} is a folder, not a file."); }
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            byte[] bytes = new byte[MaxBytes + 1];
            int count = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (count > MaxBytes) { throw new PkiException(PkiFailure.Malformed, $"{path} is larger than 1 MiB: it holds something else."); }
            return Parse(path, Encoding.Latin1.GetString(bytes.AsSpan(0, count)));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new PkiException(PkiFailure.Missing, $"There is no file {path}.", e);
        }
    }

    /// <exception cref="PkiException">It is not PEM.</exception>
    public static PemFile Parse(string path, string text)
    {
        List<PemBlock> blocks = [];
        int at = 0;
        while (PemEncoding.TryFind(text.AsSpan(at), out PemFields found))
        {
            ReadOnlySpan<char> rest = text.AsSpan(at);
            CheckNothingBroken(path, text, at, rest[..found.Location.Start.Value].ToString());
            byte[] bytes = Convert.FromBase64String(rest[found.Base64Data].ToString());
            blocks.Add(new PemBlock(rest[found.Label].ToString(), bytes));
            at += found.Location.End.Value;
        }
        CheckNothingBroken(path, text, at, text[at..]);
        if (blocks.Count == 0) { throw new PkiException(PkiFailure.Malformed, $"{path} has no PEM block (-----BEGIN …-----)."); }
        return new PemFile(path, blocks);
    }

    /// <summary>All certificates in it, in their order; at least one.</summary>
    /// <exception cref="PkiException">There is none, or one is malformed.</exception>
    public X509Certificate2Collection Certificates()
    {
        X509Certificate2Collection found = [];
        foreach (PemBlock block in Blocks.Where(block => block.Label == CertificateLabel)) { found.Add(Load(block)); }
        if (found.Count > 0) { return found; }
        string labels = string.Join(", ", Blocks.Select(block => block.Label).Distinct());
        throw new PkiException(PkiFailure.Malformed, $"{Path} has no certificate; it has: {labels}.");
    }

    private X509Certificate2 Load(PemBlock block)
    {
        try
        {
            return X509CertificateLoader.LoadCertificate(block.Bytes);
        }
        catch (CryptographicException e)
        {
            throw new PkiException(PkiFailure.Malformed, $"A certificate in {Path} is malformed: {e.Message}", e);
        }
    }

    private static void CheckNothingBroken(string path, string text, int start, string skipped)
    {
        int begin = skipped.IndexOf(Begin, StringComparison.Ordinal);
        if (begin < 0) { return; }
        int line = text.AsSpan(0, start + begin).Count('\n') + 1;
        throw new PkiException(PkiFailure.Malformed, $"The PEM block in line {line} of {path} is broken.");
    }
}
