namespace KvFs.Client;

/// <summary>What a read found: bytes in the memory that the caller gave, or lent to him where they were read
/// ahead.</summary>
/// <remarks>Disposed once, when the bytes were used; lent ones are not his any more then.</remarks>
public readonly struct FoundBytes : IDisposable
{
    private readonly ChunkCache? lender;
    private readonly ChunkLoan loan;

    /// <summary>So many bytes are in the caller's memory.</summary>
    internal FoundBytes(int length) => Length = length;

    /// <summary>The bytes are lent.</summary>
    internal FoundBytes(ChunkCache lender, ChunkLoan loan)
    {
        this.lender = lender;
        this.loan = loan;
        Length = loan.Length;
    }

    /// <summary>Bytes found; 0 at the file's end.</summary>
    public int Length { get; }

    public bool IsLent => lender is not null;

    /// <summary>The bytes that are lent; valid until this is disposed.</summary>
    public ReadOnlySpan<byte> Lent => lender is null ? default : loan.Span;

    public void Dispose() => lender?.Return(loan);
}
