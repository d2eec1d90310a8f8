# ruff: noqa: E501
# fmt: off
"""Every layer as a function of models. Written by python/tools/write.py."""

from collections.abc import Callable, Sequence
from typing import Any

from ..activations import Axis
from ..initializers import Initializer
from ..layers.channels import Channels
from ..layers.window import Padding, Sizes, Wanted
from .graph import Model

def adaptive_avg_pool(x: Model, /, output_size: Wanted = None, *, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The means of `output_size` windows (a number, or one each spatial axis; None is the images' size there)."""
def adaptive_lp_pool(x: Model, /, output_size: Wanted = None, *, norm: float = 2, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The norms (see `lp_pool`) of `output_size` windows, which lie as those of `adaptive_avg_pool`."""
def adaptive_max_pool(x: Model, /, output_size: Wanted = None, *, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The largest elements of `output_size` windows, which lie as those of `adaptive_avg_pool`."""
def add(*inputs: Model | Sequence[Model], activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The sum of all inputs."""
def alpha_dropout(x: Model, /, *, rate: float = 0.5, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """In training, each element becomes the lowest value of selu, -1.758, with probability `rate`, and all are scaled and moved so that a mean of 0 and a variance of 1 stay; in inference, x itself."""
def avg_pool(x: Model, /, kernel_size: Sizes, strides: Sizes | None = None, *, padding: Padding = 'valid', dilation: Sizes = 1, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The mean of each window, whose padding counts as zeros."""
def batch_norm(x: Model, /, *, axis: int = -1, channels: Channels | None = None, epsilon: float = 1e-05, momentum: float = 0.9, gamma_initializer: str | Initializer | None = None, use_gamma: bool = True, beta_initializer: str | Initializer | None = None, use_beta: bool = True, use_mean: bool = True, use_var: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, one mean and variance for each channel."""
def celu(x: Model, /, *, alpha: float = 1.0, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x where positive, else alpha * (exp(x / alpha) - 1); ValueError when alpha is 0."""
def concatenate(*inputs: Model | Sequence[Model], axis: int = -1, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The inputs joined along one axis."""
def conv(x: Model, /, units: int, kernel_size: Sizes, *, strides: Sizes = 1, padding: Padding = 'valid', input_dilation: Sizes = 1, kernel_dilation: Sizes = 1, groups: int = 1, channels: Channels = 'last', kernel_initializer: str | Initializer | None = None, bias_initializer: str | Initializer | None = None, use_bias: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The cross-correlation of images with `units` kernels of `kernel_size` (a number, or one each spatial axis), plus bias."""
def conv_transpose(x: Model, /, units: int, kernel_size: Sizes, *, strides: Sizes = 1, padding: Padding = 'valid', kernel_dilation: Sizes = 1, channels: Channels = 'last', kernel_initializer: str | Initializer | None = None, bias_initializer: str | Initializer | None = None, use_bias: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """A convolution of images between whose elements lie strides - 1 zeros, plus bias: images become larger by their strides."""
def dense(x: Model, /, units: int, *, kernel_initializer: str | Initializer | None = None, bias_initializer: str | Initializer | None = None, use_bias: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x @ kernel + bias over the last axis."""
def depthwise_conv(x: Model, /, channel_multiplier: int, kernel_size: Sizes, *, strides: Sizes = 1, padding: Padding = 'valid', input_dilation: Sizes = 1, kernel_dilation: Sizes = 1, channels: Channels = 'last', kernel_initializer: str | Initializer | None = None, bias_initializer: str | Initializer | None = None, use_bias: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """Each channel convolved with `channel_multiplier` kernels of its own, of `kernel_size`, plus bias."""
def dropout(x: Model, /, *, rate: float = 0.5, noise_shape: Sequence[int | None] | None = None, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """In training, each element is 0 with probability `rate`, else divided by 1 - rate; in inference, x itself."""
def elu(x: Model, /, *, alpha: float = 1.0, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x where positive, else alpha * (exp(x) - 1)."""
def exp(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """e to the power of each element."""
def feature_alpha_dropout(x: Model, /, *, rate: float = 0.5, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """In training, each channel of each example becomes the lowest value of selu, -1.758, with probability `rate`, and all are scaled and moved so that a mean of 0 and a variance of 1 stay; in inference, x itself."""
def flatten(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """All axes but the first made one."""
def gelu(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x * P(N(0, 1) <= x), by erfc and not by the tanh approximation."""
def global_avg_pool(x: Model, /, *, keep_axes: bool = False, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The mean over all spatial axes."""
def global_lp_pool(x: Model, /, *, norm: float = 2, keep_axes: bool = False, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The norm (see `lp_pool`) over all spatial axes."""
def global_max_pool(x: Model, /, *, keep_axes: bool = False, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The largest element over all spatial axes."""
def group_norm(x: Model, /, num_groups: int | None = None, group_size: int | None = None, *, axis: int = -1, channels: Channels | None = None, epsilon: float = 1e-05, gamma_initializer: str | Initializer | None = None, use_gamma: bool = True, beta_initializer: str | Initializer | None = None, use_beta: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, mean and (biased) variance of each group of channels of each example, over all other axes."""
def hard_sigmoid(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """relu6(x + 3) / 6, the piecewise linear sigmoid."""
def hard_silu(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x * hard_sigmoid(x)."""
def hard_tanh(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x kept within [-1, 1]."""
def instance_norm(x: Model, /, *, axis: int = -1, channels: Channels | None = None, epsilon: float = 1e-05, momentum: float = 0.9, gamma_initializer: str | Initializer | None = None, use_gamma: bool = True, beta_initializer: str | Initializer | None = None, use_beta: bool = True, use_mean: bool = True, use_var: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, one mean and variance for each channel of each example."""
def layer_norm(x: Model, /, *, axis: int = -1, channels: Channels | None = None, epsilon: float = 1e-05, gamma_initializer: str | Initializer | None = None, use_gamma: bool = True, beta_initializer: str | Initializer | None = None, use_beta: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, mean and (biased) variance over the channels alone."""
def leaky_relu(x: Model, /, *, alpha: float = 0.01, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x where positive, else alpha * x."""
def linear(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x itself."""
def log_sigmoid(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """log(sigmoid(x)), exact where sigmoid(x) underflows."""
def log_softmax(x: Model, /, *, axis: Axis = -1, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """log(softmax(x)) over axes, exact where softmax underflows; -inf where a row has nothing but -inf."""
def log_sumexp(x: Model, /, *, axis: Axis = -1, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """log(sum(exp(x))) over axes, which are kept with size 1 and their names; -inf over nothing."""
def lp_pool(x: Model, /, kernel_size: Sizes, strides: Sizes | None = None, *, padding: Padding = 'valid', dilation: Sizes = 1, norm: float = 2, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The norm of each window: the sum of |x| ** norm, to the power 1 / norm; with `nx.inf` the largest |x|."""
def max_pool(x: Model, /, kernel_size: Sizes, strides: Sizes | None = None, *, padding: Padding = 'valid', dilation: Sizes = 1, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The largest element of each window."""
def mish(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x * tanh(softplus(x))."""
def multiply(*inputs: Model | Sequence[Model], activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The product of all inputs."""
def relu(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x where positive, else 0; NaN stays NaN, and the gradient at 0 is 0."""
def relu6(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x kept within [0, 6]."""
def selu(x: Model, /, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """gamma * elu(x, alpha), which keeps mean 0 and variance 1 through deep networks."""
def separable_conv2d(x: Model, /, channel_multiplier: int, kernel_size: Sizes, *, strides: Sizes = 1, padding: Padding = 'valid', input_dilation: Sizes = 1, kernel_dilation: Sizes = 1, channels: Channels = 'last', kernel_initializer: str | Initializer | None = None, bias_initializer: str | Initializer | None = None, use_bias: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """A depthwise convolution along each of two spatial axes in turn, each plus its bias."""
def separable_conv3d(x: Model, /, channel_multiplier: int, kernel_size: Sizes, *, strides: Sizes = 1, padding: Padding = 'valid', input_dilation: Sizes = 1, kernel_dilation: Sizes = 1, channels: Channels = 'last', kernel_initializer: str | Initializer | None = None, bias_initializer: str | Initializer | None = None, use_bias: bool = True, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """A depthwise convolution along each of three spatial axes in turn, each plus its bias: see `separable_conv2d`."""
def sigmoid(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """1 / (1 + exp(-x))."""
def silu(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x * sigmoid(x)."""
def softmax(x: Model, /, *, axis: Axis = -1, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """exp(x) / sum(exp(x)) over axes, computed without overflow."""
def softplus(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """log(1 + exp(x)), computed without overflow."""
def softsign(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """x / (1 + |x|)."""
def spatial_dropout(x: Model, /, *, rate: float = 0.5, channels: Channels = 'last', activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """In training, each channel of each example is 0 with probability `rate`, else divided by 1 - rate; in inference, x itself."""
def subtract(*inputs: Model | Sequence[Model], activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """The first input less all others."""
def tanh(x: Model, /, *, activation: str | Callable[..., Any] | None = None, name: str | None = None) -> Model:
    """Hyperbolic tangent of each element."""
