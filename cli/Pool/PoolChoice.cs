using KvFs.Client.Remote;

namespace KvFs.Cli.Pool;

/// <summary>Which pool of several nodes a process uses.</summary>
internal abstract record PoolChoice
{
    /// <summary>Nodes that the process starts itself, on this machine, each a process of its own.</summary>
    /// <param name="Count">How many.</param>
    /// <param name="Insecure">They talk in plain text.</param>
    internal sealed record Own(int Count, bool Insecure) : PoolChoice;

    /// <summary>A pool that runs already.</summary>
    /// <param name="Addresses">Of some of its nodes.</param>
    /// <param name="Certificates">A folder as <c>kvfs pki issue</c> writes it; null: plain text on loopback.</param>
    /// <param name="Name">The pool that the certificates are of; null: plain text.</param>
    /// <param name="Near">Where this machine is beside the nodes.</param>
    internal sealed record Running(IReadOnlyList<string> Addresses, string? Certificates, string? Name, NearOptions Near) : PoolChoice;
}
