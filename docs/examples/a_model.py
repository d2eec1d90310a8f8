"""A model is a value: print it, and its layers, shapes and parameters are there before anything was computed."""

import axon
from axon import nx

model = (
    axon.input("pixels", shape=(None, 784))
    .dense(128, activation="relu")
    .dropout(rate=0.5)
    .dense(10, activation="softmax")
)
print(model)

state = axon.init(model, key=nx.random.key(0))
print(axon.predict(model, state, nx.zeros((2, 784))))

# What the model is goes to a file as text, what it has learned as tensors: axon.io.save("model.safetensors", state).
text = axon.to_json(model)
print(text)
print(axon.from_json(text))
