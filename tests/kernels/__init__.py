"""Tests of the scalar kernels: the headers are compiled by g++ and NVRTC here, the package itself is not needed."""
