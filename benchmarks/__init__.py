"""The benchmarks: `python -m benchmarks`. How to read them: docs/reference/benchmarks.md."""
