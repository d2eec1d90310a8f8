"""Training in one line: a step of a model, a loss and an optimizer, run over batches for some epochs."""

import axon
from axon import training
from axon.datasets import batches, digits

data = digits()
inputs, targets = zip(*batches(data.x_train.reshape(-1, 64), data.y_train, 32, drop_last=True))

model = axon.input("pixels", shape=(None, 64)).dense(128, activation="relu").dense(10, activation="softmax")
step = training.step(model, "categorical_cross_entropy", axon.optimizers.adamw(0.005))
trained = training.train(step, inputs, targets, epochs=5, compiler="native")

predicted = axon.predict(model, trained.model, data.x_test.reshape(-1, 64)).argmax(axis=-1)
right = int((predicted.numpy() == data.y_test).sum())
print(f"{right} of {len(data.y_test)} test digits are read right")
