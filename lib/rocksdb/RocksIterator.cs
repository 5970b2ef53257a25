using System.Runtime.CompilerServices;
using KvFs.RocksDb.Native;

namespace KvFs.RocksDb;

/// <summary>Walks one family in byte order of the keys, over the state at the time it was made.</summary>
/// <remarks>Not thread safe. Keeps its database (and snapshot) open until it is disposed. A walk that ends says not
/// why: call <see cref="ThrowIfFailed"/> after it.</remarks>
public sealed unsafe class RocksIterator : IDisposable
{
    private readonly IteratorHandle _handle;

    internal RocksIterator(IteratorHandle handle) => _handle = handle;

    /// <summary>Whether it stands on a key; false before the first seek, past the ends, and after an error.</summary>
    public bool IsValid { get; private set; }

    /// <summary>Valid until the next move.</summary>
    /// <exception cref="InvalidOperationException">It stands on no key.</exception>
    public ReadOnlySpan<byte> Key
    {
        get
        {
            nint iterator = RequireValid();
            nuint length;
            byte* key = NativeMethods.rocksdb_iter_key(iterator, &length);
            GC.KeepAlive(this);
            // The iterator pins these bytes until it moves or is destroyed.
            return new ReadOnlySpan<byte>(key, checked((int)length));
        }
    }

    /// <summary>Valid until the next move.</summary>
    /// <exception cref="InvalidOperationException">It stands on no key.</exception>
    public ReadOnlySpan<byte> Value
    {
        get
        {
            nint iterator = RequireValid();
            nuint length;
            byte* value = NativeMethods.rocksdb_iter_value(iterator, &length);
            GC.KeepAlive(this);
            // As with Key.
            return new ReadOnlySpan<byte>(value, checked((int)length));
        }
    }

    /// <summary>To the first key at or after <paramref name="key"/>.</summary>
    public void Seek(ReadOnlySpan<byte> key)
    {
        nint iterator = RequireOpen();
        fixed (byte* bytes = key)
        {
            NativeMethods.rocksdb_iter_seek(iterator, bytes, (nuint)key.Length);
        }
        Settle(iterator);
    }

    /// <summary>To the last key at or before <paramref name="key"/>.</summary>
    public void SeekForPrev(ReadOnlySpan<byte> key)
    {
        nint iterator = RequireOpen();
        fixed (byte* bytes = key)
        {
            NativeMethods.rocksdb_iter_seek_for_prev(iterator, bytes, (nuint)key.Length);
        }
        Settle(iterator);
    }

    public void SeekToFirst()
    {
        nint iterator = RequireOpen();
        NativeMethods.rocksdb_iter_seek_to_first(iterator);
        Settle(iterator);
    }

    public void SeekToLast()
    {
        nint iterator = RequireOpen();
        NativeMethods.rocksdb_iter_seek_to_last(iterator);
        Settle(iterator);
    }

    /// <exception cref="InvalidOperationException">It stands on no key.</exception>
    public void Next()
    {
        nint iterator = RequireValid();
        NativeMethods.rocksdb_iter_next(iterator);
        Settle(iterator);
    }

    /// <exception cref="InvalidOperationException">It stands on no key.</exception>
    public void Prev()
    {
        nint iterator = RequireValid();
        NativeMethods.rocksdb_iter_prev(iterator);
        Settle(iterator);
    }

    /// <exception cref="RocksException">The last move failed, rather than reached an end.</exception>
    public void ThrowIfFailed()
    {
        byte* error = null;
        NativeMethods.rocksdb_iter_get_error(RequireOpen(), &error);
        GC.KeepAlive(this);
        RocksError.ThrowIfSet(error);
    }

    public void Dispose()
    {
        IsValid = false;
        _handle.Dispose();
    }

    /// <remarks>The native object is used without counting the use, since an iterator belongs to one thread: nobody can
    /// dispose it meanwhile, and KeepAlive after the call holds the finalizer off.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private nint RequireOpen()
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        return _handle.DangerousGetHandle();
    }

    /// <remarks>The C API checks nothing: a move from nowhere reads memory that is not there.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private nint RequireValid()
    {
        nint iterator = RequireOpen();
        if (!IsValid) { throw new InvalidOperationException("The iterator stands on no key."); }
        return iterator;
    }

    private void Settle(nint iterator)
    {
        IsValid = NativeMethods.rocksdb_iter_valid(iterator) != 0;
        GC.KeepAlive(this);
    }
}
