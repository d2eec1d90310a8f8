"""Targets: the text of a kernel for each, and for the CPU its compiler, its cache and its limits."""
