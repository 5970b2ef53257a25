// A test that starts a program shares its descriptors with the child until that runs: an open file of another test would
// look locked, and its mount busy. Besides, each test here is several threads or processes already.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
