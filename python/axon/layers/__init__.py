"""Layers: plain numerical functions over (inputs, parameters, options), each declared once as a model layer too.

`TABLE` has every layer by name; the activations are layers without parameters.
"""

from .. import activations as _activations
from .combine import add as add
from .combine import concatenate as concatenate
from .combine import flatten as flatten
from .combine import multiply as multiply
from .combine import subtract as subtract
from .conv import conv as conv
from .conv import conv_transpose as conv_transpose
from .conv import depthwise_conv as depthwise_conv
from .conv import separable_conv2d as separable_conv2d
from .conv import separable_conv3d as separable_conv3d
from .declare import OWN as OWN
from .declare import REQUIRED as REQUIRED
from .declare import TABLE as TABLE
from .declare import Layer as Layer
from .declare import Mode as Mode
from .declare import Parameter as Parameter
from .declare import Spec as Spec
from .declare import Stateful as Stateful
from .declare import describe as describe
from .declare import find as find
from .declare import is_ours as is_ours
from .declare import layer as layer
from .declare import trains as trains
from .dense import dense as dense
from .dropout import alpha_dropout as alpha_dropout
from .dropout import dropout as dropout
from .dropout import feature_alpha_dropout as feature_alpha_dropout
from .dropout import spatial_dropout as spatial_dropout
from .normalization import batch_norm as batch_norm
from .normalization import group_norm as group_norm
from .normalization import instance_norm as instance_norm
from .normalization import layer_norm as layer_norm
from .pooling import adaptive_avg_pool as adaptive_avg_pool
from .pooling import adaptive_lp_pool as adaptive_lp_pool
from .pooling import adaptive_max_pool as adaptive_max_pool
from .pooling import avg_pool as avg_pool
from .pooling import global_avg_pool as global_avg_pool
from .pooling import global_lp_pool as global_lp_pool
from .pooling import global_max_pool as global_max_pool
from .pooling import lp_pool as lp_pool
from .pooling import max_pool as max_pool

for _name in _activations.__all__:
    TABLE[_name] = describe(getattr(_activations, _name))
