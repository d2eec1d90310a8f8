"""The Kernel IR: what it is, how a fused group becomes it, which kernels are legal and what they mean."""
