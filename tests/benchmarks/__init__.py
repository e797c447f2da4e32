"""The benchmarks: what they compute from what they measure."""
