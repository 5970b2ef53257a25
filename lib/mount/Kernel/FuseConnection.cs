namespace KvFs.Mount;

/// <summary>How to unmount.</summary>
public enum FuseUnmountMode
{
    /// <summary>Fails with Busy while files are open.</summary>
    Normal,

    /// <summary>The path is free at once; the file system serves on until the last file is closed.</summary>
    Lazy,

    /// <summary>Aborts: the path is free at once, every waiting and later call of a program fails. Writes that the
    /// kernel still buffers are lost.</summary>
    Force,
}

/// <summary>A mounted file system: its workers, its end.</summary>
/// <remarks>
/// <para>Threads: all members may be used from any thread, but a handler's method must not wait for
/// <see cref="Ended"/> nor unmount.</para>
/// <para>Never keep a file of the mount open in the process that serves it: if it is killed, the kernel waits for the
/// flush of that file while nobody is left to serve it. Only an abort through fusectl ends that.</para>
/// </remarks>
public sealed class FuseConnection : IDisposable
{
    private readonly FuseMountpoint mountpoint;
    private readonly IFuseHandler handler;
    private readonly FuseFaultLog faults;
    private readonly FuseRequestRegistry registry;
    private readonly FuseReaders readers;
    private readonly FuseDevice[] devices;
    private readonly FuseParserSettings settings;
    private readonly TaskCompletionSource<FuseEnd> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock endLock = new();
    private FuseEnd end = new(FuseEndReason.Unmounted, 0);
    private int workersAlive;

    internal FuseConnection(
        FuseMountpoint mountpoint,
        FuseDevice device,
        FuseNegotiated negotiated,
        IFuseHandler handler,
        FuseMountOptions options)
    {
        this.mountpoint = mountpoint;
        this.handler = handler;
        Negotiated = negotiated;
        settings = new(negotiated.MaxRequestBytes, negotiated.Has(FuseInitFlags.SetxattrExt));
        faults = new FuseFaultLog(options.OnFault);
        registry = new FuseRequestRegistry(negotiated.MaxRequestBytes, faults);
        Notifier = new FuseNotifier(device, negotiated, faults);
        devices = OpenDevices(device, options.Workers);
        readers = new FuseReaders(devices.Length, TimeProvider.System);
        workersAlive = options.Workers;
    }

    /// <summary>Where it is mounted, without symbolic links.</summary>
    public string Path => mountpoint.Path;

    public FuseNegotiated Negotiated { get; }

    public FuseNotifier Notifier { get; }

    /// <summary>Completes when the mount is gone, the workers have ended and the handler knows. Never fails.</summary>
    /// <remarks>That is: after the last mount of it (also bind mounts and copies in other mount namespaces) and the
    /// last open file are gone.</remarks>
    public Task<FuseEnd> Ended => ended.Task;

    /// <summary>True if every worker has its own descriptor; false where this user may not open the device
    /// again.</summary>
    public bool HasClones => devices.Distinct().Count() == devices.Length;

    /// <summary>Requests that wait for an answer after their handler has returned.</summary>
    public int PendingRequests => Math.Max(0, registry.SlotsInUse - Volatile.Read(ref workersAlive));

    /// <summary>Frees the path. Does nothing if it was unmounted already. <see cref="Ended"/> follows by
    /// itself.</summary>
    /// <exception cref="FuseMountException">It is in use, or this user may not.</exception>
    public void Unmount(FuseUnmountMode mode = FuseUnmountMode.Normal)
    {
        if (FuseWorker.IsWorkerThread)
        {
            throw new InvalidOperationException("Unmounting from a thread that serves requests can wait for itself.");
        }

        if (!Ended.IsCompleted) { mountpoint.Unmount(mode); }
    }

    /// <summary>Unmounts, by force if it is in use, and waits for the workers' end.</summary>
    /// <remarks>Without root a force needs fusectl. After a lazy unmount, where fusectl is not mounted, the end is the
    /// closing of the last open file.</remarks>
    /// <exception cref="FuseMountException">It could not be unmounted.</exception>
    public void Dispose()
    {
        try
        {
            Unmount();
        }
        catch (FuseMountException e) when (e.Reason == FuseMountFailure.Busy)
        {
            // What is in use is ended by the force below, and so is what a lazy unmount left.
        }

        Unmount(FuseUnmountMode.Force);
        Ended.Wait();  // House: Dispose is synchronous, and the force above ends every worker.
    }

    /// <summary>Hands a request that was not answered yet to the handler again, on this thread.</summary>
    internal void Repeat(FuseRequest request)
    {
        request.Hold();
        try
        {
            FuseDispatch.Run(handler, request, settings);
        }
        finally
        {
            request.LetGo();
        }
    }

    /// <summary>Closes all descriptors of a connection whose workers were never started.</summary>
    internal void Abandon()
    {
        foreach (FuseDevice device in devices) { device.Dispose(); }
        registry.Dispose();
    }

    /// <summary>Starts the workers.</summary>
    internal void Start()
    {
        bool hasClones = HasClones;
        for (int i = 0; i < devices.Length; i++)
        {
            // A descriptor that several workers share is always waited on.
            FuseWorker worker = new(devices[i], handler, registry, readers, polls: hasClones, settings);
            Thread thread = new(() => RunWorker(worker)) { IsBackground = true, Name = $"kvfs-fuse-{i}" };
            thread.Start();
        }
    }

    /// <summary>The first descriptor, and a clone of it for each further worker as far as they can be had.</summary>
    private static FuseDevice[] OpenDevices(FuseDevice device, int workers)
    {
        FuseDevice[] opened = new FuseDevice[workers];
        opened[0] = device;
        for (int i = 1; i < workers; i++) { opened[i] = device.TryClone() ?? device; }
        return opened;
    }

    private void RunWorker(FuseWorker worker)
    {
        FuseEnd how;
        try
        {
            how = worker.Run();
        }
        catch (Exception e)
        {
            // Not a handler's exception: those are answered. Memory for another request's buffer, for one.
            faults.Report(new FuseFault(
                FuseFaultKind.DeviceFailed, FuseOpcode.None, 0, 0, "A worker of the mount ended unexpectedly.", e));
            how = new FuseEnd(FuseEndReason.Failed, 0);
        }

        lock (endLock)
        {
            if (how.Reason > end.Reason || end.ErrorNumber == 0) { end = how; }
        }

        if (Interlocked.Decrement(ref workersAlive) == 0) { Finish(); }
    }

    private void Finish()
    {
        foreach (FuseDevice device in devices) { device.Dispose(); }
        registry.Dispose();
        if (end.Reason == FuseEndReason.Failed) { DetachDead(); }
        try
        {
            handler.Unmounted(end);
        }
        catch (Exception e)
        {
            faults.Report(new FuseFault(
                FuseFaultKind.HandlerThrew, FuseOpcode.None, 0, 0, "The handler threw when told of the end.", e));
        }

        ended.SetResult(end);
    }

    /// <summary>Leaves no dead mount in the way of the next one.</summary>
    private void DetachDead()
    {
        try
        {
            mountpoint.Unmount(FuseUnmountMode.Lazy);
        }
        catch (FuseMountException e)
        {
            faults.Report(new FuseFault(
                FuseFaultKind.DeviceFailed, FuseOpcode.None, 0, e.ErrorNumber, e.Message, e));
        }
    }
}
