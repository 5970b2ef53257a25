using System.Numerics;

namespace KvFs.Core;

/// <summary>A set of chunk numbers that gives its least one.</summary>
internal sealed class ChunkSet
{
    private const int WordBits = 64;

    private ulong[] words = [];

    /// <summary>No word before this one has a member.</summary>
    private int firstWord;

    internal void Add(int chunk)
    {
        int word = chunk / WordBits;
        if (word >= words.Length) { Array.Resize(ref words, Math.Max(word + 1, words.Length * 2)); }
        words[word] |= 1UL << (chunk % WordBits);
        firstWord = Math.Min(firstWord, word);
    }

    internal void Remove(int chunk) => words[chunk / WordBits] &= ~(1UL << (chunk % WordBits));

    /// <summary>The least member, or -1.</summary>
    internal int First()
    {
        while (firstWord < words.Length)
        {
            if (words[firstWord] != 0)
            {
                return (firstWord * WordBits) + BitOperations.TrailingZeroCount(words[firstWord]);
            }

            firstWord++;
        }

        return -1;
    }
}
