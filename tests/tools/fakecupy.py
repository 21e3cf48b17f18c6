"""A strict stand-in for the `cupy` module: NumPy inside, CuPy's refusals outside.

It behaves like CuPy where code written for NumPy usually breaks on a GPU: an array class of its own, no implicit
conversion, no mixing with NumPy arrays, arrays (not scalars) from reductions and indexing, only the functions and
keywords that CuPy has. It never returns wrong numbers: what it cannot do it refuses (AttributeError, TypeError).
`tests/tools/test_fakecupy.py` holds it against NumPy and against the stock CuPy wheel.

`stats` counts what a GPU would have done:

    launch    operations: each would start one kernel or more; views are free
    alloc     arrays that an operation, an upload or a constructor made
    copy      those of them that only repeat another array: copy, astype, a reshape that cannot be a view
    float64   those of them that are float64: slow on most cards, and a sign of a lost float32
    h2d, d2h  transfers from the host and to the host
    sync      times the host waited for the device

Tests get it as the fixture `fakecupy` (conftest.py), which makes it `import cupy` for one test.
"""

import builtins
import collections
import functools
import numbers
import sys
import types

import numpy as np

__version__ = "14.2.0"
stats: collections.Counter = collections.Counter()

bool_, uint8, int8, int32, int64 = np.bool_, np.uint8, np.int8, np.int32, np.int64
float16, float32, float64 = np.float16, np.float32, np.float64
dtype, generic, finfo, iinfo = np.dtype, np.generic, np.finfo, np.iinfo
result_type, promote_types, can_cast = np.result_type, np.promote_types, np.can_cast
pi, e, inf, nan, newaxis = np.pi, np.e, np.inf, np.nan, None

_this = sys.modules[__name__]


def _unwrap(x):
    """The NumPy value inside an argument; a NumPy array in an operation is an error, as in CuPy."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return type(x)(map(_unwrap, x)) if isinstance(x, (list, tuple)) else x


def _made(a, copies=False):
    """Wrap a new NumPy array and count it."""
    a = np.asarray(a)
    stats["alloc"] += 1
    stats["copy"] += copies
    stats["float64"] += a.dtype == np.float64
    return ndarray(_own=a)


def _result(r, source=None, copies=False):
    """Wrap what an operation on `source` returned: a view is free, anything else is one launch."""
    if isinstance(r, (list, tuple)):
        return [_result(part, source, copies) for part in r]
    if isinstance(r, np.ndarray) and isinstance(source, ndarray) and np.may_share_memory(r, source._a):
        return ndarray(_own=r)
    stats["launch"] += 1
    return _made(r, copies)


def _promoted(values):
    """Operands in their common type as CuPy and NumPy 2 find it: Python numbers adapt, nobody looks at values.
    (NumPy 1 made 0-d float32 arrays times Python numbers float64, and arrays times np.float64 float32.)"""
    if len(values) == 1 or builtins.all(np.ndim(x) for x in values):
        return values
    kinds = {bool: "b", int: "i", float: "f"}
    common = np.result_type(*[x.dtype for x in values if type(x) not in kinds] or [bool])
    for x in values:
        if "bif".find(kinds.get(type(x), "b")) > "bif".find(common.kind.replace("u", "i")):
            common = np.result_type(common, type(x))
    return [np.asarray(x, common) for x in values]


def _check_out(out):
    if isinstance(out, tuple):
        (out,) = out
    if out is not None and not isinstance(out, ndarray):
        raise TypeError("out must be a cupy.ndarray")
    return out


def _index(key):
    """An index as NumPy takes it; counts the uploads and waits that it would cost."""

    def part(i):
        if isinstance(i, ndarray):
            stats["sync"] += i.dtype == bool  # the size of the result is known on the device only
            return i._a
        stats["h2d"] += isinstance(i, (list, np.ndarray))
        return i

    return tuple(map(part, key)) if isinstance(key, tuple) else part(key)


class ndarray:
    __slots__ = ("_a",)
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape=None, dtype=float, order="C", *, _own=None):
        self._a = _made(np.empty(shape, dtype, order))._a if _own is None else _own

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    nbytes = property(lambda self: self._a.nbytes)
    itemsize = property(lambda self: self._a.itemsize)
    strides = property(lambda self: self._a.strides)
    flags = property(lambda self: self._a.flags)
    base = property(lambda self: None if self._a.base is None else ndarray(_own=self._a.base))
    real = property(lambda self: self)
    T = property(lambda self: ndarray(_own=self._a.T))

    # to the host: always asked for by name
    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self, stream=None, order="C", out=None, blocking=True):
        stats["d2h"] += 1
        stats["sync"] += bool(blocking)
        if out is None:
            return np.array(self._a, order=order)
        out[...] = self._a
        return out

    def item(self, *args):
        return self.get().item(*args)

    def tolist(self):
        return self.get().tolist()

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    def __index__(self):
        return self.get().__index__()

    def __format__(self, spec):
        return format(self.get()[()], spec)

    def __repr__(self):
        return repr(self.get())

    def __str__(self):
        return str(self.get())

    def __reduce__(self):
        return asarray, (self.get(),)

    def set(self, values, stream=None):
        if not isinstance(values, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if values.dtype != self.dtype:
            raise TypeError(f"{values.dtype} array cannot be set to {self.dtype} array")
        if values.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {values.shape}")
        stats["h2d"] += 1
        self._a[...] = values

    # NumPy's own functions hand over to the ones here, as in CuPy
    def __array_ufunc__(self, function, method, *args, **kwargs):
        mine = getattr(_this, function.__name__, None)
        if not isinstance(mine, ufunc):
            return NotImplemented
        return mine(*args, **kwargs) if method == "__call__" else getattr(mine, method)(*args, **kwargs)

    def __array_function__(self, function, types_, args, kwargs):
        module = linalg if function.__module__ == "numpy.linalg" else _this
        mine = getattr(module, function.__name__, None)
        return NotImplemented if mine is None else mine(*args, **kwargs)

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        key = _index(key)
        parts = key if isinstance(key, tuple) else (key,)
        if not builtins.any(part is Ellipsis for part in parts):
            key = (*parts, Ellipsis)  # so that x[0, 0] is a 0-d view, as in CuPy
        return _result(self._a[key], self)

    def __setitem__(self, key, value):
        if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
            raise ValueError(f"non-scalar {type(value).__name__} cannot be used for fill")
        stats["launch"] += 1
        self._a[_index(key)] = value._a if isinstance(value, ndarray) else value

    def reshape(self, *shape, order="C"):
        return _result(self._a.reshape(*shape, order=order), self, copies=True)

    def ravel(self, order="C"):
        return _result(self._a.ravel(order), self, copies=True)

    def transpose(self, *axes):
        return _result(self._a.transpose(*axes), self)

    def view(self, *args):
        return _result(self._a.view(*args), self)

    def flatten(self, order="C"):
        return _result(self._a.flatten(order), copies=True)

    def copy(self, order="C"):
        return _result(self._a.copy(order), copies=True)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        same = self.dtype == dtype and not copy
        return self if same else _result(self._a.astype(dtype, order), copies=True)

    def fill(self, value):
        stats["launch"] += 1
        self._a.fill(_unwrap(value))


class ufunc:
    """A function of NumPy's, element by element, without the keywords that CuPy lacks (`where`, `order`, `subok`)."""

    def __init__(self, function):
        self._function, self.__name__ = function, function.__name__

    def __call__(self, *args, out=None, dtype=None, casting="same_kind", **unknown):
        if unknown:
            raise TypeError(f"Wrong arguments {unknown}")
        if self.__name__ == "matmul" and len(args) > 2:
            raise TypeError("matmul() got multiple values for argument 'out'")
        if len(args) > self._function.nin and out is None:
            *args, out = args
        out = _check_out(out)
        for x in args:
            if not isinstance(x, (ndarray, numbers.Number, np.generic)):
                raise TypeError(f"Unsupported type {type(x)}")
        values = _promoted([_unwrap(x) for x in args])
        if out is None:
            return _result(self._function(*values, dtype=dtype, casting=casting))
        stats["launch"] += 1
        self._function(*values, out=out._a, dtype=dtype, casting=casting)
        return out

    def reduce(self, a, axis=0, dtype=None, out=None, keepdims=False):
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.__name__}.reduce` is not supported yet")
        reduction = {"add": "sum", "multiply": "prod"}[self.__name__]
        return getattr(_this, reduction)(a, axis, dtype, out=out, keepdims=keepdims)

    def at(self, a, indices, b=None):
        if self.__name__ not in ("add", "maximum", "minimum"):
            raise NotImplementedError(f"`cupy_{self.__name__}.at` is not supported yet")
        stats["launch"] += 1
        self._function.at(a._a, _index(indices), _unwrap(b))


UFUNCS = """add subtract multiply divide true_divide floor_divide remainder mod power negative abs absolute sign
    sqrt square reciprocal exp exp2 expm1 log log1p log2 sin cos tanh floor ceil rint trunc hypot
    maximum minimum fmax fmin isfinite isnan isinf
    greater greater_equal less less_equal equal not_equal logical_and logical_or logical_not logical_xor
    matmul""".split()
for _name in UFUNCS:
    setattr(_this, _name, ufunc(getattr(np, _name)))

# Every other function, with the parameters that CuPy gives it: no where=, initial=, mode=, device= or like=.
SIGNATURES = {
    **dict.fromkeys(("sum", "prod", "mean", "argmax", "argmin"), "a axis dtype out keepdims"),
    **dict.fromkeys(("var", "std"), "a axis dtype out ddof keepdims"),
    **dict.fromkeys(("max", "min", "amax", "amin", "all", "any"), "a axis out keepdims"),
    "cumsum": "a axis dtype out",
    "count_nonzero": "a axis keepdims",
    "clip": "a a_min a_max out",
    "where": "condition x y",
    "take": "a indices axis out",
    "take_along_axis": "a indices axis",
    "put_along_axis": "arr indices values axis",
    "stack": "tup axis out dtype casting",
    "concatenate": "tup axis out dtype casting",
    "split": "ary indices_or_sections axis",
    "pad": "array pad_width mode constant_values",
    "tile": "A reps",
    "repeat": "a repeats axis",
    "roll": "a shift axis",
    "flip": "a axis",
    "expand_dims": "a axis",
    "squeeze": "a axis",
    "moveaxis": "a source destination",
    "swapaxes": "a axis1 axis2",
    "transpose": "a axes",
    "reshape": "a shape order",
    "ravel": "a order",
    "broadcast_to": "array shape",
    "ascontiguousarray": "a dtype",
    "copy": "a order",
    "dot": "a b out",
    "vdot": "a b",
    "inner": "a b",
    "outer": "a b out",
    "tensordot": "a b axes",
    "array_equal": "a1 a2 equal_nan",
    "allclose": "a b rtol atol equal_nan",
    "bincount": "x weights minlength",
    "tril": "m k",
    "triu": "m k",
    "empty": "shape dtype order",
    "zeros": "shape dtype order",
    "ones": "shape dtype order",
    "full": "shape fill_value dtype order",
    "empty_like": "prototype dtype order subok shape",
    "zeros_like": "a dtype order subok shape",
    "ones_like": "a dtype order subok shape",
    "full_like": "a fill_value dtype order subok shape",
    "eye": "N M k dtype order",
    "arange": "start stop step dtype",
    "linspace": "start stop num endpoint retstep dtype axis",
}
METHODS = "sum prod mean var std max min argmax argmin all any cumsum clip take repeat squeeze swapaxes dot".split()
COPIES = {"copy", "ascontiguousarray", "reshape", "ravel"}


def _function(name, parameters):
    """The function `name`: the arguments are held against CuPy's parameters, then NumPy computes."""
    names = parameters.split()
    limit = names.index("out") if "out" in names else len(names)

    def function(*args, out=None, **kwargs):
        unknown = [key for key in kwargs if key not in names] + ["out"] * (out is not None and "out" not in names)
        if unknown:
            raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")
        if len(args) > limit:
            raise TypeError(f"{name}() takes {limit} arguments by position, the others by keyword")
        out = _check_out(out)
        source = args[0] if args else None
        values = [_unwrap(x) for x in args]
        options = {key: _unwrap(x) for key, x in kwargs.items()}
        if out is None:
            return _result(getattr(np, name)(*values, **options), source, copies=name in COPIES)
        stats["launch"] += 1
        getattr(np, name)(*values, **options, out=out._a)
        return out

    function.__name__ = name
    return function


for _name, _parameters in SIGNATURES.items():
    setattr(_this, _name, _function(_name, _parameters))
for _name in METHODS:
    _f = getattr(_this, _name)
    setattr(ndarray, _name, lambda self, *args, _f=_f, **kwargs: _f(self, *args, **kwargs))

_OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "matmul": "matmul"}
_OPERATORS |= {"floordiv": "floor_divide", "mod": "remainder", "pow": "power"}
_COMPARISONS = dict(eq="equal", ne="not_equal", lt="less", le="less_equal", gt="greater", ge="greater_equal")
for _operator, _name in (_OPERATORS | _COMPARISONS).items():
    _f = getattr(_this, _name)
    setattr(ndarray, f"__{_operator}__", lambda self, other, _f=_f: _f(self, other))
    if _operator in _OPERATORS:
        setattr(ndarray, f"__r{_operator}__", lambda self, other, _f=_f: _f(other, self))
    if _operator in _OPERATORS and _operator != "matmul":  # CuPy has no @=
        setattr(ndarray, f"__i{_operator}__", lambda self, other, _f=_f: _f(self, other, out=self))
ndarray.__neg__ = lambda self: _this.negative(self)
ndarray.__abs__ = lambda self: _this.absolute(self)
abs, pow = _this.absolute, _this.power


def einsum(subscripts, *operands, optimize=False, **unknown):
    if unknown:
        raise TypeError(f"Did not understand the following kwargs: {list(unknown)}")  # out= among them
    return _result(np.einsum(subscripts, *map(_unwrap, operands), optimize=optimize), operands[0])


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    if isinstance(a, ndarray):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    if isinstance(a, (list, tuple)) and a and isinstance(a[0], ndarray):
        return _this.stack(list(a))
    stats["h2d"] += 1
    return _made(np.array(a, dtype, order=order or "K"))


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0):
    return asarray(obj, dtype).copy() if isinstance(obj, ndarray) and copy else asarray(obj, dtype)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a)


def copyto(dst, src, casting="same_kind", where=True):
    if isinstance(src, np.ndarray):
        raise ValueError("non-scalar numpy.ndarray cannot be used for copyto")
    stats["launch"] += 1
    np.copyto(dst._a, _unwrap(src), casting, where=_unwrap(where))


def iscomplexobj(x):
    return np.iscomplexobj(_unwrap(x))


def shares_memory(a, b):
    return np.shares_memory(a._a, b._a)


def may_share_memory(a, b):
    return np.may_share_memory(a._a, b._a)


def get_array_module(*args):
    return _this if builtins.any(isinstance(x, ndarray) for x in args) else np


def fuse(kernel_name):
    """One launch for all that happens in a function; what it returns is made, what lies between is not."""
    return lambda function: functools.partial(_launch, function)


def _launch(function, *args):
    before = stats["launch"], stats["alloc"]
    results = function(*args)
    made = [r for r in (results if isinstance(results, tuple) else (results,)) if isinstance(r, ndarray)]
    new = [r for r in made if not [a for a in args if a is r]]
    stats["launch"], stats["alloc"] = before[0] + 1, before[1] + len(new)
    return results


def _norm(x, ord=None, axis=None, keepdims=False):
    return _result(np.linalg.norm(_unwrap(x), ord, axis, keepdims))


def _synchronize(*args):
    stats["sync"] += 1


class _CUDARuntimeError(RuntimeError):
    pass


_stream = types.SimpleNamespace(synchronize=_synchronize)
linalg = types.SimpleNamespace(norm=_norm)
cuda = types.SimpleNamespace(
    is_available=lambda: True,
    Device=lambda device=0: types.SimpleNamespace(id=device, synchronize=_synchronize),
    Stream=types.SimpleNamespace(null=_stream),
    get_current_stream=lambda: _stream,
    alloc_pinned_memory=bytearray,
    runtime=types.SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=_CUDARuntimeError),
)
