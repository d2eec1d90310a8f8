"""A layer of one's own that gives two results, and a model of two outputs: it reads a digit, and draws it again."""

import axon
from axon import nx
from axon.datasets import batches, digits
from axon.layers import layer


@layer(results=("left", "right"))
def halves(x: nx.Tensor) -> tuple[nx.Tensor, nx.Tensor]:
    """The first and the second half of the last axis."""
    middle = x.shape[-1] // 2
    return x[:, :middle], x[:, middle:]


hidden = axon.input("pixels", shape=(None, 64)).dense(128, activation="relu")
left, right = halves(hidden)
model = axon.container({"digit": left.dense(10, activation="softmax"), "pixels": right.dense(64)})

data = digits()
pixels = data.x_train.reshape(-1, 64)
train = batches(pixels, {"digit": data.y_train, "pixels": pixels}, 32)

loss = {"digit": "categorical_cross_entropy", "pixels": ("mean_squared_error", 10.0)}
result = axon.Loop.trainer(model, loss, axon.optimizers.adamw(0.005), progress=False).run(train, epochs=5)

unseen = data.x_test.reshape(-1, 64)
predicted = axon.predict(model, result.state, unseen)
right_ones = int((predicted["digit"].numpy().argmax(axis=-1) == data.y_test).sum())
error = float(nx.mean(nx.abs(predicted["pixels"] - nx.tensor(unseen))))
print(f"{right_ones} of {len(unseen)} test digits are read right, and drawn {error:.2f} off")
