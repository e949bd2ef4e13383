"""The recurrence on an NVIDIA GPU, as Triton kernels."""
