namespace KvFs.Mount;

/// <summary>Objects that requests borrow, so that none is made per request.</summary>
/// <remarks>Thread safe, lock-free. Keeps as many as workers are usually busy; more are left to the
/// collector.</remarks>
internal sealed class Spares<T>(Func<T> make)
    where T : class
{
    private const int Kept = 32;

    private readonly T?[] free = new T?[Kept];

    public T Rent()
    {
        for (int i = 0; i < free.Length; i++)
        {
            if (free[i] is not null && Interlocked.Exchange(ref free[i], null) is { } spare) { return spare; }
        }

        return make();
    }

    public void Return(T spare)
    {
        for (int i = 0; i < free.Length; i++)
        {
            if (free[i] is null && Interlocked.CompareExchange(ref free[i], spare, null) is null) { return; }
        }
    }
}
