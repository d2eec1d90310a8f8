# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers see of what is declared: pyright complains of a mistake below that it does not find."""

import axon
from axon import Model, nx
from axon.layers import Layer, layer

x = axon.input("x", shape=(None, 28, 28, 1))
y: Model = x.conv(8, 3, padding="same", activation="relu").max_pool(2).flatten().dense(10, kernel_initializer="zeros")
z: Model = axon.add(y, axon.dropout(y, rate=0.1), [y, y])
t: nx.Tensor = nx.arange(3.0).sum(axis=0)
row: Layer = axon.layers.TABLE["dense"]

axon.dense(x)  # pyright: ignore[reportCallIssue]
axon.dense(x, 3, bias=False)  # pyright: ignore[reportCallIssue]
axon.dense(x, "3")  # pyright: ignore[reportArgumentType]
axon.conv(x, 8, 3, channels="last_one")  # pyright: ignore[reportArgumentType]
axon.model.softmax(x, axis=1.5)  # pyright: ignore[reportArgumentType]
x.dropout(rates=0.5)  # pyright: ignore[reportCallIssue]
x.dense(3, use_bias=None)  # pyright: ignore[reportArgumentType]
x.batch_norm(epsilon="small")  # pyright: ignore[reportArgumentType]
x.shift_all(1)  # pyright: ignore[reportAttributeAccessIssue]


@layer(options={"units": 2})
def scaled(x: nx.Tensor, *, by: float = 2.0) -> nx.Tensor:
    return x * by


own: Model = scaled(x, by=3.0)
computed: nx.Tensor = scaled(t, by=3.0)
scaled(t, to=3.0)  # pyright: ignore[reportCallIssue, reportArgumentType]
left, right = x.nx(lambda x: (x, x))
both: Model = axon.container({"left": left, "right": right, "c": axon.constant(1.0)})["left"].dense(3)
t.sum(axes=0)  # pyright: ignore[reportCallIssue]
