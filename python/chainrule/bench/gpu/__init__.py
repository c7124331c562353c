"""The benchmarks of a GPU: `python -m chainrule.bench.gpu`, which benchmarks/gpu.sh runs on a machine that has one.

Products beside cuBLAS, training beside PyTorch in three ways, in the same run on the same device. `ledger` keeps what
was measured after each contest and sees to the time, `products` and `training` measure.
"""
