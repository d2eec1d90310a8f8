"""The same workloads as other frameworks' users write them. A framework is a file that fills TABLE as axon's does."""
