"""The adapted weight as a tensor, its gradients, and CPU kernels for both; nothing here knows adapters or files."""
