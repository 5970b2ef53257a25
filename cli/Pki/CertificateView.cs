using KvFs.Cli.Commands;

namespace KvFs.Cli.Pki;

/// <summary>How certificates look to people.</summary>
internal static class CertificateView
{
    public static void Write(TextWriter output, CertificateReport certificate)
    {
        Line(output, "subject", certificate.Subject);
        Line(output, "is", WhatItIs(certificate));
        Line(output, "names", OrDash([.. certificate.DnsNames, .. certificate.Addresses]));
        if (!certificate.Authority) { Line(output, "for", OrDash(certificate.Usages)); }
        Line(output, "valid", $"{DriveView.Time(certificate.NotBefore)} to {DriveView.Time(certificate.NotAfter)} ({Left(certificate)})");
        Line(output, "issuer", certificate.Issuer);
        Line(output, "serial", certificate.Serial);
        Line(output, "sha-256", certificate.Fingerprint);
    }

    /// <summary>For the end of a sentence: "364 days left".</summary>
    public static string Left(CertificateReport certificate) => certificate.DaysLeft switch
    {
        < -1 => $"ended {Days(-certificate.DaysLeft - 1)} ago",
        -1 => "ended less than a day ago",
        0 => "less than a day left",
        var days => $"{Days(days)} left",
    };

    private static string Days(int number) => number == 1 ? "1 day" : $"{number} days";

    private static string WhatItIs(CertificateReport certificate) => certificate switch
    {
        { Role: not null } => $"{certificate.Role} {certificate.Name} of pool {certificate.Pool}",
        { Authority: true, Pool: not null } => $"the authority of pool {certificate.Pool}",
        { Authority: true } => "an authority",
        _ => "not a part of a pool",
    };

    private static string OrDash(IReadOnlyList<string> words) => words.Count == 0 ? "-" : string.Join(", ", words);

    /// <summary>A certificate of somebody else may hold anything, also what a terminal would obey.</summary>
    private static void Line(TextWriter output, string title, string text) =>
        output.WriteLine($"{title,-9}{string.Concat(text.Select(letter => char.IsControl(letter) ? '?' : letter))}");
}
