"""Fusion: which nodes of a graph become one kernel, and where it reads their operands."""
