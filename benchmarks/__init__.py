"""Benchmarks: what the product costs, in CPU, memory, disk and waiting, beside the bar that it is held to."""
