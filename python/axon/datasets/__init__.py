"""Real data that is at hand without the network, and batches of it."""

from .batches import Batches as Batches
from .batches import batches as batches
from .digits import digits as digits
from .fashion_mnist import fashion_mnist as fashion_mnist
from .split import Split as Split
