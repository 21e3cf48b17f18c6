"""An exception of somebody's forward or backward pass in words: what was raised, in which file, line and function."""

import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = str(Path(__file__).parent)
PACKAGE = str(Path(__file__).parent.parent)
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
CALLERS = ("checker.py", "convention.py", "contract.py", "layers.py", "numeric.py", "suite.py")  # that call the passes


def raised(error: BaseException, function: Callable[..., Any] | None = None) -> str:
    """ "raised ValueError: operands could not be broadcast ... (layernorm.py:83, in layernorm_backward)".

    The place is the innermost line outside the libraries; where the call itself failed, the first of `function`.
    """
    words = " ".join(str(error).split())
    where = _place(error.__traceback__, function)
    return f"raised {type(error).__name__}" + (f": {words}" if words else "") + (f" ({where})" if where else "")


def _place(traceback: TracebackType | None, function: Callable[..., Any] | None) -> str:
    own, any_place = "", ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        path = code.co_filename
        if not (path.startswith(HERE) and Path(path).name in CALLERS):
            any_place = f"{Path(path).name}:{traceback.tb_lineno}, in {code.co_name}"
            if path.startswith(PACKAGE) or not path.startswith((*LIBRARIES, "<frozen", "<__array_function__")):
                own = any_place
        traceback = traceback.tb_next
    start = getattr(function, "__code__", None)
    if not any_place and start:
        return f"{Path(start.co_filename).name}:{start.co_firstlineno}, {start.co_name}"
    return own or any_place


def type_name(value: Any) -> str:
    """The name of a value's type, with its package unless it is built in: "torch.Tensor", "dict"."""
    kind = type(value)
    package = kind.__module__.split(".")[0]
    inside = package in ("builtins", "__main__", "numpy") or package in sys.stdlib_module_names
    return kind.__name__ if inside else f"{package}.{kind.__name__}"
