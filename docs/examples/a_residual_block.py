"""A block of layers is a plain function from a model to a model."""

import axon
from axon import Model


def residual(x: Model, channels: int) -> Model:
    return x.conv(channels, kernel_size=3, padding="same", activation="relu").add(x)


x = axon.input("images", shape=(None, 32, 32, 3)).conv(32, kernel_size=3, activation="relu")
for _ in range(2):
    x = residual(x, 32).max_pool(kernel_size=3)
model = x.flatten().dense(10, activation="log_softmax")

print(model)
