"""Benchmarks: axon and its peers on the same workloads, same run, same machine. `python -m bench --help` says how."""
