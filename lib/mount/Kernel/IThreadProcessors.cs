namespace KvFs.Mount;

/// <summary>Which processors threads run on.</summary>
internal interface IThreadProcessors
{
    /// <summary>Where a thread runs, or ran last; -1: it is gone, or not to be seen from here.</summary>
    int Of(uint thread);

    /// <summary>Takes the calling thread to a processor and keeps it there. False: it may not run there.</summary>
    bool TryKeep(int processor);

    /// <summary>Lets the calling thread run wherever it could at first.</summary>
    void Release();
}
