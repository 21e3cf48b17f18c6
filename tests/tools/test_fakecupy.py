"""The stand-in is held against NumPy everywhere, and against the stock CuPy wheel in the group `cupy`."""

import numpy as np
import pytest

from tests.tools import fakecupy as stand_in

# One line of array code each, over x (3, 4) and y (4, 3) float32, c (2, 3, 4) float32, labels (3,) int64,
# n (3, 4) uint8 and host, a NumPy array (3, 4) float32.
SAME_AS_NUMPY = """
x + 1
x * np.float32(2)
1 - x
2.0 / (x + 3)
x ** 2
-x
abs(x)
x // 2
x % 2
x > 0
x <= 0
x @ y
c @ y
y.swapaxes(0, 1) @ x.T
xp.matmul(x, y, out=xp.empty((3, 3), dtype=xp.float32))
xp.exp(x)
xp.exp2(x)
xp.tanh(x, out=x.copy())
xp.sqrt(x * x)
xp.log(x * x + 1)
xp.maximum(x, 0)
xp.divide(1, x + 3)
xp.add(x, 1.0, dtype=xp.float64)
xp.isfinite(x).all()
xp.square(x).sum(-1, keepdims=True)
x.sum()
x.sum(axis=(0, 1))
x.mean(-1, keepdims=True)
x.max(-1, keepdims=True)
x.var(0)
x.argmax(-1)
xp.sum(x, axis=0, dtype=xp.float64)
xp.linalg.norm(x)
xp.dot(x.ravel(), x.ravel())
xp.vdot(x, x)
xp.einsum("ij,ij->i", x, x)
xp.einsum("bij,jk->bik", c, y)
xp.where(x > 0, x, 0)
xp.where(x > 0, 1.0, 0.0)
xp.clip(x, -1, 1)
xp.concatenate([x, x], axis=1)
xp.stack([x, x])
xp.broadcast_to(x[0], (2, 4))
xp.expand_dims(x, 0)
xp.zeros_like(x)
xp.full((2, 3), 0.5, dtype=xp.float32)
xp.arange(5)
xp.ones(3)
xp.eye(3, dtype=xp.float32)
x.reshape(2, 6)
x.T.reshape(-1)
x.transpose(1, 0)
c.transpose(0, 2, 1).reshape(2, 12)
x[0, 0]
x[:, 1:3]
x[..., None]
x[xp.arange(3), labels]
x[labels]
x.take(labels, axis=0)
xp.take_along_axis(x, labels[:, None], axis=-1)
x.astype(xp.float64)
n / 255
n.astype(xp.float32) / 255
n * np.float32(2)
x.copy()
xp.ascontiguousarray(x.T)
xp.copyto(x, 0) or x
xp.count_nonzero(x > 0)
xp.array_equal(x, x)
xp.allclose(x, x)
np.exp(x)
np.sum(x)
""".strip().split("\n")

REFUSED = {
    "np.asarray(x)": TypeError,
    "x + host": TypeError,
    "host + x": TypeError,
    "x + host.sum(keepdims=True)": TypeError,
    "xp.maximum(host, 0)": TypeError,
    "xp.matmul(x, host.T)": TypeError,
    "xp.where(x > 0, host, 0)": (TypeError, ValueError),
    "xp.concatenate([x, host])": TypeError,
    "x + [1, 2, 3, 4]": TypeError,
    "xp.sum(x, where=x > 0)": TypeError,
    "xp.max(x, initial=0)": TypeError,
    "x.sum(where=x > 0)": TypeError,
    "xp.exp(x, where=x > 0)": TypeError,
    "xp.exp(x, out=host)": TypeError,
    "xp.matmul(x, y, xp.empty((3, 3)))": TypeError,
    "xp.einsum('ij,ij->i', x, x, out=x[:, 0])": TypeError,
    "xp.clip(x, min=0, max=1)": TypeError,
    "xp.maximum.reduce(x, 0)": NotImplementedError,
    "xp.vecdot(x, x)": AttributeError,
    "xp.errstate(over='ignore')": AttributeError,
    "xp.erf(x)": AttributeError,
    "x.__setitem__(slice(None), host)": ValueError,
    "x.set(host.astype(np.float64))": TypeError,
}


def arrays(xp):
    """The names a line of code may use, the arrays in the library `xp`."""
    random = np.random.default_rng(5)
    host = {
        "x": random.normal(size=(3, 4)).astype(np.float32),
        "y": random.normal(size=(4, 3)).astype(np.float32),
        "c": random.normal(size=(2, 3, 4)).astype(np.float32),
        "labels": np.array([2, 0, 1]),
        "n": random.integers(0, 256, (3, 4), dtype=np.uint8),
    }
    return {name: xp.asarray(array) for name, array in host.items()} | {"xp": xp, "np": np, "host": host["x"].copy()}


def assert_same_as_numpy(xp, line):
    expected = np.asarray(eval(line, arrays(np)))
    got = eval(line, arrays(xp))
    assert isinstance(got, xp.ndarray), f"{line}: {type(got)}, not an array of the device"
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype), line
    np.testing.assert_allclose(got.get(), expected, rtol=2e-6, atol=1e-6, err_msg=line)


@pytest.mark.standin
@pytest.mark.parametrize("line", SAME_AS_NUMPY)
def test_what_the_stand_in_accepts_it_computes(line):
    assert_same_as_numpy(stand_in, line)


@pytest.mark.standin
@pytest.mark.parametrize("line", REFUSED)
def test_the_stand_in_refuses(line):
    with pytest.raises(REFUSED[line]):
        eval(line, arrays(stand_in))


@pytest.mark.cupy
@pytest.mark.parametrize("line", SAME_AS_NUMPY)
def test_cupy_accepts_and_computes_the_same(cupysim, line):
    import cupy

    assert_same_as_numpy(cupy, line)


@pytest.mark.cupy
@pytest.mark.parametrize("line", REFUSED)
def test_cupy_refuses_the_same(cupysim, line):
    import cupy

    with pytest.raises(REFUSED[line]):
        eval(line, arrays(cupy))


# line -> the counters it moves, but for "launch", which is 1 unless named
COUNTED = {
    "x + 1": {"alloc": 1},
    "xp.add(x, 1, out=x)": {},
    "x.__iadd__(1)": {},
    "x[:, 1:]": {"launch": 0},
    "x.reshape(4, 3)": {"launch": 0},
    "xp.transpose(x)": {"launch": 0},
    "x.T.reshape(-1)": {"alloc": 1, "copy": 1},
    "x.copy()": {"alloc": 1, "copy": 1},
    "x.astype(xp.float64)": {"alloc": 1, "copy": 1, "float64": 1},
    "x.astype(xp.float32, copy=False)": {"launch": 0},
    "x * xp.ones(4)": {"launch": 2, "alloc": 2, "float64": 2},
    "n / 255": {"alloc": 1, "float64": 1},
    "x * np.float64(2)": {"alloc": 1, "float64": 1},
    "x.sum()": {"alloc": 1},
    "x.sum() * 2.0": {"launch": 2, "alloc": 2},
    "1 / x.mean()": {"launch": 2, "alloc": 2},
    "float(x[0, 0])": {"launch": 0, "d2h": 1, "sync": 1},
    "bool(xp.isfinite(x).all())": {"launch": 2, "alloc": 2, "d2h": 1, "sync": 1},
    "x.get()": {"launch": 0, "d2h": 1, "sync": 1},
    "xp.asarray(host)": {"launch": 0, "alloc": 1, "h2d": 1},
    "x[[0, 1]]": {"alloc": 1, "h2d": 1},
    "x[x > 0]": {"launch": 2, "alloc": 2, "sync": 1},
    "xp.cuda.get_current_stream().synchronize()": {"launch": 0, "sync": 1},
}


@pytest.mark.standin
@pytest.mark.parametrize("line", COUNTED)
def test_the_stand_in_counts(line):
    names = arrays(stand_in)
    before = stand_in.stats.copy()
    eval(line, names)
    moved = {name: n - before[name] for name, n in stand_in.stats.items() if n != before[name]}
    assert moved == {name: n for name, n in ({"launch": 1} | COUNTED[line]).items() if n}
