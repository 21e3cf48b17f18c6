"""Layers in the conventions that people write them in, each right and, with wrong=True, with a mistake of its kind.

Pairs and functions; the objects are in foreign_objects.py, and what their users write in test_foreign_layers.py. All of
them are written for these tests.
"""

import numpy as np


def draw(*shape, seed=5):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


X, W, B = draw(5, 4), draw(4, 3), draw(3)
LABELS = np.array([0, 2, 1, 1, 2])
AFFINE = {"x": X, "w": W, "b": B}


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


def popping_backward(dy, stack, wrong=False):
    return dy * stack.pop() * (2 if wrong else 1)


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


def model_loss(wrong=False, **params):
    """A two-layer model on fixed data; its parameters are keyword arguments, its gradients a dictionary."""
    x, labels = X, LABELS
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
