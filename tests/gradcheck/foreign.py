"""Layers in the conventions that people write them in, each right and, with wrong=True, with a mistake of its kind.

All of them are written for these tests. What is two lines in `KINDS` is what the user of such a layer writes.
"""

from functools import partial

import numpy as np

from minivit.gradcheck import check_function, check_layer, check_pair


def draw(*shape, seed=5):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


X, W, B = draw(5, 4), draw(4, 3), draw(3)
LABELS = np.array([0, 2, 1, 1, 2])


# Pairs


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dy, cache, wrong=False):
    x, w = cache
    return dy @ w.T, x.T @ dy / (len(x) if wrong else 1), dy.sum(0)


def affine_named(dy, cache, wrong=False):
    dx, dw, db = affine_backward(dy, cache, wrong)
    return {"b": db, "w": dw, "x": dx}


def affine_mixed(dy, cache, wrong=False):
    dx, dw, db = affine_backward(dy, cache, wrong)
    return dx, {"dw": dw, "db": db}


def batchnorm_forward(x, gamma, beta, running):
    """Keeps running statistics in a dictionary, which y does not depend on."""
    mean, std = x.mean(0), np.sqrt(((x - x.mean(0)) ** 2).mean(0) + 1e-5)
    running["mean"] = 0.9 * running["mean"] + 0.1 * mean
    xhat = (x - mean) / std
    return gamma * xhat + beta, (xhat, std, gamma)


def batchnorm_backward(dy, cache, wrong=False):
    xhat, std, gamma = cache
    u = dy if wrong else gamma * dy
    dx = (u - u.mean(0) - xhat * (u * xhat).mean(0)) / std
    return dx, (dy * xhat).sum(0), dy.sum(0)


def layernorm_forward(x, gamma):
    xc = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((xc * xc).mean(-1, keepdims=True) + 1e-5)
    return gamma * xc * rstd, (xc * rstd, rstd, gamma)


def layernorm_backward(dy, cache, wrong=False):
    """The mistake, gamma outside the means, cannot be seen where gamma is 1."""
    xhat, rstd, gamma = cache
    u = dy if wrong else gamma * dy
    dx = rstd * (u - u.mean(-1, keepdims=True) - xhat * (u * xhat).mean(-1, keepdims=True))
    return gamma * dx if wrong else dx, (dy * xhat).sum(0)


def gate_forward(x, w):
    """Two outputs of different shapes, as an LSTM's step has them."""
    h = np.tanh(x @ w)
    return h, (x * x).sum(1), (x, w, h)


def gate_backward(dh, dn, cache, wrong=False):
    x, w, h = cache
    da = dh * (1 - h * h)
    return da @ w.T + (0 if wrong else 2 * x * dn[:, None]), x.T @ da


def sums_forward(x):
    return (x.sum(0), x.sum(1)), x.shape


def sums_backward(dy, shape, wrong=False):
    rows, columns = dy
    return rows[None] + columns[:, None] * (0 if wrong else 1)


def stack_forward(x):
    return x * x, [2 * x]


def in_place_backward(dy, cache, wrong=False):
    cache[0] *= dy  # in its own cache
    return cache[0] * (3 if wrong else 1)


def scaled_loss(x):
    return (x * x).sum() / 3, x


def scaled_loss_backward(dout, x, wrong=False):
    dout *= 1 if wrong else 2 / 3
    return dout * x


def prelu_forward(x, a):
    return np.where(x > 0, x, a * x), (x, a)


def prelu_backward(dy, cache, wrong=False):
    x, a = cache
    return dy * np.where(x > 0, 1, a), (dy * (x if wrong else np.minimum(x, 0))).sum()


def embedding_forward(ids, table):
    return table[ids], (ids, table.shape)


def embedding_backward(dy, cache, wrong=False):
    ids, shape = cache
    dtable = np.zeros(shape)
    if wrong:
        dtable[ids] += dy  # a repeated id counts once
    else:
        np.add.at(dtable, ids, dy)
    return None, dtable


def rnn_forward(x, w):
    """x (T, D): h = tanh(x_t + h·w), every step's h given back."""
    h, hs = np.zeros(x.shape[1]), []
    for step in x:
        h = np.tanh(step + h @ w)
        hs.append(h)
    return np.array(hs), (np.array(hs), w)


def rnn_backward(dy, cache, wrong=False):
    hs, w = cache
    dx, dw, dh = np.zeros_like(hs), np.zeros_like(w), np.zeros(hs.shape[1])
    for t in range(len(hs) - 1, -1, -1):
        da = (dy[t] + dh) * (1 - hs[t] ** 2)
        dx[t] = dy[t] * (1 - hs[t] ** 2) if wrong else da  # wrong: without what the later steps contribute
        dw += np.outer(hs[t - 1], da) if t else 0
        dh = da @ w.T
    return dx, dw


def window_forward(x):
    """The maxima of overlapping windows of two."""
    return np.maximum(x[:, :-1], x[:, 1:]), x


def window_backward(dy, x, wrong=False):
    dx, left = np.zeros_like(x), x[:, :-1] > x[:, 1:]
    for j in range(dy.shape[1]):
        for i in range(len(x)):
            k = j if left[i, j] else j + 1
            dx[i, k] = dy[i, j] + (0 if wrong else dx[i, k])
    return dx


def keyed_forward(x, wk, bk):
    """Scores of one query against every token, their softmax, its mean token; a bias on the keys changes nothing."""
    q, k = x[0], x @ wk + bk
    p = np.exp(k @ q - (k @ q).max())
    p /= p.sum()
    return p @ x, (x, wk, k, q, p)


def keyed_backward(dy, cache, wrong=False):
    x, wk, k, q, p = cache
    dp = x @ dy
    ds = p * (dp - p @ dp)
    dk = np.outer(ds, q)
    dx = np.outer(p, dy) + (dk if wrong else dk @ wk.T)
    dx[0] += ds @ k
    return dx, x.T @ dk, dk.sum(0)


def list_forward(x):
    """Plain Python, lists of lists."""
    return [[v * v for v in row] for row in x], x


def list_backward(dy, x, wrong=False):
    return [[(3 if wrong else 2) * v * d for v, d in zip(xs, ds)] for xs, ds in zip(x, dy)]


def dropout_forward(x):
    mask = np.random.random(x.shape) < 0.5
    return x * mask, mask


def dropout_backward(dy, mask, wrong=False):
    return dy if wrong else dy * mask


def single_forward(x, w):
    """Computes in float32 whatever comes."""
    h = np.empty((len(x), w.shape[1]), "f")
    h[...] = np.tanh(x.astype("f") @ w.astype("f"))
    return h, (x.astype("f"), w.astype("f"), h)


def single_backward(dy, cache, wrong=False):
    x, w, h = cache
    da = (dy * (1 - h * (1 if wrong else h))).astype("f")
    return da @ w.T, x.T @ da


# Functions that return a value and its gradients


def softmax_loss(scores, labels, wrong=False):
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(p))
    loss = -np.log(p[rows, labels]).mean()
    p[rows, labels] -= 1
    return loss, p / (1 if wrong else len(p))


def model_loss(params, x, labels, wrong=False):
    """A two-layer model whose parameters and gradients are dictionaries."""
    h = np.tanh(x @ params["W1"] + params["b1"])
    loss, dscores = softmax_loss(h @ params["W2"], labels)
    dh = dscores @ params["W2"].T * (1 if wrong else 1 - h * h)
    return loss, {"W2": h.T @ dscores, "W1": x.T @ dh, "b1": dh.sum(0)}


class Tensor:
    """An array on a tape, in the manner of small engines: backward() fills .grad of everything it was made of."""

    def __init__(self, data, parents=(), send=lambda grad: None):
        self.data, self.parents, self.send, self.grad = np.asarray(data), parents, send, 0.0

    def __matmul__(self, other):
        def send(grad):
            self.grad = self.grad + grad @ other.data.T
            other.grad = other.grad + self.data.T @ grad

        return Tensor(self.data @ other.data, (self, other), send)

    def square_sum(self, wrong=False):
        def send(grad):
            self.grad = self.grad + grad * (1 if wrong else 2) * self.data

        return Tensor((self.data**2).sum(), (self,), send)

    def backward(self):
        self.grad = 1.0
        tape, node = [self], self
        while node.parents:
            node = node.parents[0]
            tape.append(node)
        for node in tape:
            node.send(node.grad)


def tape_loss(x, w, wrong=False):
    tx, tw = Tensor(x), Tensor(w)
    loss = (tx @ tw).square_sum(wrong)
    loss.backward()
    return loss.data, (tx.grad, tw.grad)


# Objects


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
    def __init__(self, w, b, wrong=False):
        self.params, self.grads, self.wrong = [w, b], [np.zeros_like(w), np.zeros_like(b)], wrong

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


class WithOptimizer(WithSteps):
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
        self.dW = self.dW + 0
        return dx * self.mask


def batchnorm_inputs():
    return {"x": X, "gamma": draw(4), "beta": draw(4, seed=7), "running": {"mean": np.zeros(4)}}


PLACES = {"W": "dW", "b": "db"}
STEPS = {"W": None, "b": None}

# (what the user of such a layer writes, the tensor that a mistake is in)
KINDS = {
    "pair, gradients in order": (
        lambda w: check_pair(affine_forward, partial(affine_backward, wrong=w), {"x": X, "w": W, "b": B}), "w"),
    "pair, gradients by name": (
        lambda w: check_pair(affine_forward, partial(affine_named, wrong=w), {"x": X, "w": W, "b": B}), "w"),
    "pair, dx and a dictionary of dw and db": (
        lambda w: check_pair(affine_forward, partial(affine_mixed, wrong=w), {"x": X, "w": W, "b": B}), "w"),
    "pair, running statistics in a dictionary": (
        lambda w: check_pair(batchnorm_forward, partial(batchnorm_backward, wrong=w), batchnorm_inputs()), "x"),
    "pair, two outputs": (
        lambda w: check_pair(gate_forward, partial(gate_backward, wrong=w), {"x": X, "w": W}, outputs=2), "x"),
    "pair, a tuple of outputs": (
        lambda w: check_pair(sums_forward, partial(sums_backward, wrong=w), {"x": X}), "x"),
    "pair, a cache that is used up": (
        lambda w: check_pair(stack_forward, lambda dy, stack: dy * stack.pop() * (2 if w else 1), {"x": X}), "x"),
    "pair, in place in its own cache": (
        lambda w: check_pair(stack_forward, partial(in_place_backward, wrong=w), {"x": X}), "x"),
    "pair, the gradient of a loss in place": (
        lambda w: check_pair(scaled_loss, partial(scaled_loss_backward, wrong=w), {"x": X}), "x"),
    "pair, a scalar parameter": (
        lambda w: check_pair(prelu_forward, partial(prelu_backward, wrong=w), {"x": X, "a": np.array(0.25)}), "a"),
    "pair, integer indices": (
        lambda w: check_pair(embedding_forward, partial(embedding_backward, wrong=w), {"ids": LABELS, "table": draw(4, 3)}),
        "table"),
    "pair, a loop over time": (
        lambda w: check_pair(rnn_forward, partial(rnn_backward, wrong=w), {"x": X, "w": draw(4, 4)}), "x"),
    "pair, overlapping windows": (
        lambda w: check_pair(window_forward, partial(window_backward, wrong=w), {"x": X}), "x"),
    "pair, a gradient that is zero by the mathematics": (
        lambda w: check_pair(keyed_forward, partial(keyed_backward, wrong=w), {"x": X, "wk": draw(4, 4), "bk": draw(4)}), "x"),
    "pair, plain lists": (
        lambda w: check_pair(list_forward, partial(list_backward, wrong=w), {"x": X}), "x"),
    "pair, numpy.random": (
        lambda w: check_pair(dropout_forward, partial(dropout_backward, wrong=w), {"x": X}, seed_numpy=True), "x"),
    "pair, float32 only": (
        lambda w: check_pair(single_forward, partial(single_backward, wrong=w), {"x": X, "w": W}, dtype="float32"), "x"),
    "function, a loss and its gradient": (
        lambda w: check_function(partial(softmax_loss, wrong=w), {"scores": draw(5, 3), "labels": LABELS}), "scores"),
    "function, a model with dictionaries": (
        lambda w: check_function(lambda **p: model_loss(p, X, LABELS, w), {"W1": W, "b1": B, "W2": draw(3, 3)}), "W1"),
    "function, a tape": (lambda w: check_function(partial(tape_loss, wrong=w), {"x": X, "w": W}), "x"),
    "object, attributes": (lambda w: check_layer(WithAttributes(w), {"x": X}, PLACES), "W"),
    "object, dictionaries": (
        lambda w: check_layer(WithDictionaries(w), {"x": X}, {"params.w": "grads.w", "params.b": "grads.b"}),
        "params.w"),
    "object, lists": (
        lambda w: check_layer(WithLists(W, B, w), {"x": X}, {"params.0": "grads.0", "params.1": "grads.1"}),
        "params.1"),
    "object, parameters with gradients that add up": (
        lambda w: check_layer(WithParameters(w), {"x": X}, {"W.data": "W.grad", "b.data": "b.grad"}), "b.data"),
    "object, a step in backward": (lambda w: check_layer(WithSteps(w), {"x": X}, STEPS, rate=1e-3), "W"),
    "object, a step in backward_pass at a rate it is given": (
        lambda w: check_layer(
            WithRate(w), {"x": X}, STEPS, rate=0.1, forward="forward_pass", backward="backward_pass"
        ), "W"),
    "object, optimizers of its own": (lambda w: check_layer(WithOptimizer(w), {"x": X}, STEPS, rate=0.01), "W"),
    "object, a cache beside y": (lambda w: check_layer(WithCache(w), {"x": X}, PLACES), "W"),
    "object, every gradient an attribute": (
        lambda w: check_layer(WithInputGradient(w), {"x": X}, {**PLACES, "x": "dx"}), "W"),
    "object, a loss with backward()": (
        lambda w: check_layer(SquaredError(w), {"y": X, "target": draw(5, 4, seed=6)}, fixed=["target"]), "y"),
    "object, a loss with backward(dout=1)": (
        lambda w: check_layer(SoftmaxWithLoss(w), {"x": draw(5, 3), "t": LABELS}), "x"),
    "object, a network of layers": (
        lambda w: check_layer(Network(w), {"x": X}, {"layers.0.W": "layers.0.dW",
                                                     "layers.1.params.w": "layers.1.grads.w"}), "layers.1.params.w"),
    "object, two outputs": (lambda w: check_layer(Cell(w), {"x": X}, PLACES, outputs=2), "W"),
    "object, numpy.random": (lambda w: check_layer(Dropout(w), {"x": X}, PLACES, seed_numpy=True), "W"),
}  # fmt: skip
