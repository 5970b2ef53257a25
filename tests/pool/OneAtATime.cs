// Each test has three nodes or more, whose leases run out where too many want the same cores.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
