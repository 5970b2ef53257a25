namespace KvFs.Cli.Hosting;

/// <summary>A drive that is mounted.</summary>
internal interface IActiveMount : IAsyncDisposable
{
    /// <summary>Ends when nothing is mounted any more, whoever unmounted it.</summary>
    Task Completion { get; }

    /// <summary>Writes everything back and unmounts.</summary>
    /// <exception cref="Mount.FuseMountException">Programs use it, and it was not to be lazy.</exception>
    ValueTask UnmountAsync(bool lazy);
}
