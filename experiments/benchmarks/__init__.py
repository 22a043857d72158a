"""What `experiments/benchmark.py` measures: one module per case, and the slow references."""
