using KvFs.Core;

namespace KvFs.Simulation.Pool;

/// <summary>A clone, for the client that works in it.</summary>
/// <param name="Drive">Which.</param>
/// <param name="Shown">What the client's directory shows in it at first.</param>
/// <param name="Depth">Origins behind it.</param>
/// <param name="IsMade">False: nobody was told that it was made, and it may be there.</param>
internal sealed record CloneOrigin(DriveId Drive, HomeState Shown, int Depth, bool IsMade);
