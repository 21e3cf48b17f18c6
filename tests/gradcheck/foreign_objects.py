"""Objects that keep their parameters, what backward needs and their gradients, each in somebody's way.

With wrong=True they have a mistake.
"""

import numpy as np

from .foreign_pairs import W, draw, softmax_loss


class Affine:
    """Everything that the objects below share; a subclass says where gradients are kept."""

    def __init__(self, wrong=False):
        self.W, self.b, self.wrong = W.copy(), np.zeros(3), wrong

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def gradients(self, dy):
        return dy @ self.W.T, self.x.T @ dy * (-1 if self.wrong else 1), dy.sum(0)


class WithAttributes(Affine):
    def backward(self, dy):
        dx, self.dW, self.db = self.gradients(dy)
        return dx


class WithDictionaries:
    def __init__(self, wrong=False):
        self.params, self.grads, self.wrong = {"w": W.copy(), "b": np.zeros(3)}, {}, wrong

    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.params["w"] + self.params["b"]

    def backward(self, grad):
        self.grads["w"] = (self.inputs if not self.wrong else np.ones_like(self.inputs)).T @ grad
        self.grads["b"] = grad.sum(0)
        return grad @ self.params["w"].T


class WithLists:
    def __init__(self, wrong=False):
        self.params, self.grads, self.wrong = [W.copy(), np.zeros(3)], [np.zeros((4, 3)), np.zeros(3)], wrong

    def forward(self, x):
        w, b = self.params
        self.x = x
        return x @ w + b

    def backward(self, dout):
        w, _ = self.params
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum() if self.wrong else dout.sum(0)
        return dout @ w.T


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class WithParameters:
    """Adds to the gradients that are there; the parameters are float32, as initialised."""

    def __init__(self, wrong=False):
        self.W, self.b, self.wrong = Parameter(W.astype("f")), Parameter(np.zeros(3, "f")), wrong
        self.parameters = [self.W, self.b]
        self.W.grad += 7  # from an earlier batch

    def __call__(self, x):
        self.x = x
        return x @ self.W.data + self.b.data

    def backward(self, dy):
        self.parameters[0].grad += self.x.T @ dy
        self.parameters[1].grad += dy.mean(0) if self.wrong else dy.sum(0)
        return dy @ self.W.data.T


class WithSteps(Affine):
    def backward(self, dy):
        dx, dW, db = self.gradients(dy)
        self.W -= 1e-3 * dW
        self.b = self.b - 1e-3 * db
        return dx


class WithRate(Affine):
    def backward_pass(self, dy, learning_rate):
        dx, dW, db = self.gradients(dy)
        self.W, self.b = self.W - learning_rate * dW, self.b - learning_rate * db
        return dx

    forward_pass = Affine.forward


class Descent:
    def __init__(self, rate):
        self.rate = rate

    def update(self, value, gradient):
        return value - self.rate * gradient


class WithOptimizers(WithSteps):
    def __init__(self, wrong=False):
        super().__init__(wrong)
        self.W_opt, self.b_opt = Descent(0.01), Descent(0.01)

    def backward(self, dy):
        dx, dW, db = self.gradients(dy)
        self.W, self.b = self.W_opt.update(self.W, dW), self.b_opt.update(self.b, db)
        return dx


class WithCache(Affine):
    """Gives its cache back beside y, and takes it beside dy."""

    def forward(self, x):
        return super().forward(x), x

    def backward(self, dy, cache):
        self.x = cache
        dx, self.dW, self.db = self.gradients(dy)
        return dx


class WithInputGradient(Affine):
    """Its backward returns nothing: all gradients are attributes."""

    def backward(self, dy):
        self.dx, self.dW, self.db = self.gradients(dy)


class SquaredError:
    def __init__(self, wrong=False):
        self.wrong = wrong

    def forward(self, y, target):
        self.gap = y - target
        return (self.gap**2).mean()

    def backward(self):
        return 2 * self.gap / (len(self.gap) if self.wrong else self.gap.size)


class SoftmaxWithLoss:
    def __init__(self, wrong=False):
        self.wrong = wrong

    def forward(self, x, t):
        loss, self.dx = softmax_loss(x, t, self.wrong)
        return loss

    def backward(self, dout=1):
        return dout * self.dx


class Network:
    """Layers in a list, whose backward calls theirs."""

    def __init__(self, wrong=False):
        self.layers = [WithAttributes(), WithDictionaries(wrong)]
        self.layers[1].params["w"] = draw(3, 2)
        self.layers[1].params["b"] = draw(2)

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


class Cell(Affine):
    """Two outputs."""

    def forward(self, x):
        self.y = np.tanh(super().forward(x))
        return self.y, self.y**2

    def backward(self, dh, dc):
        dx, self.dW, self.db = self.gradients((dh + 2 * dc * self.y) * (1 - self.y**2))
        return dx


class Dropout(Affine):
    """Draws from numpy.random in every forward."""

    def forward(self, x):
        self.mask = np.random.rand(*x.shape) > 0.3
        return super().forward(x * self.mask)

    def backward(self, dy):
        dx, self.dW, self.db = self.gradients(dy)
        return dx * self.mask
