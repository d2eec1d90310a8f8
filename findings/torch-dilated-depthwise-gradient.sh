#!/bin/bash
# PyTorch's weight gradient of a dilated depthwise convolution in bfloat16 is wrong where images are channels last.
#
# Found with: torch 2.13.0 (oneDNN 3.12.0) on CPUs with AVX-512, from AVX512_CORE up; on others oneDNN takes another way and is
# right. 16 channels of 32 x 32, a 3 x 3 kernel with dilation 4 and padding 4, as segmentation nets have them. It prints:
#   torch 2.13.0: largest error of the weight gradient, of the largest element: contiguous 0.003, channels last above 1
# The result, the input's gradient and the same in float32 are right; so is dilation along the width alone. Some runs give
# numbers around 1e30 or NaN, as memory that nobody wrote holds them. Nothing is raised, and training goes on with it.
# Exits with 1 when the library behaves otherwise.
set -eu
grep -q -w avx512bw /proc/cpuinfo || { echo "this CPU has no AVX-512: nothing to see"; exit 0; }
version=2.13.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" "torch==$version" "numpy==2.4.6"

PYTHONPATH="$folder" python3 - <<'SOURCE'
import torch

torch.manual_seed(0)
x, w = torch.randn(1, 16, 32, 32), torch.randn(16, 1, 3, 3)


def gradient(x, w, g=None):
    x, w = x.requires_grad_(), w.requires_grad_()
    y = torch.nn.functional.conv2d(x, w, padding=4, dilation=4, groups=16)
    return torch.autograd.grad(y, w, torch.ones_like(y) if g is None else g)[0].double()


exact = gradient(x.double(), w.double())
errors = []
for layout in (torch.contiguous_format, torch.channels_last):
    found = gradient(*(t.detach().to(torch.bfloat16, memory_format=layout) for t in (x, w)))
    errors.append(((found - exact).abs().max() / exact.abs().max()).item())
print(
    f"torch {torch.__version__.split('+')[0]}: largest error of the weight gradient, of the largest element: "
    f"contiguous {errors[0]:.3f}, channels last {errors[1]:.3g}"
)
assert errors[0] < 0.02 and not errors[1] < 0.5
SOURCE
