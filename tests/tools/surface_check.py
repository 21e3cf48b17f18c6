"""Hold a source tree against the *installed* CuPy, without running it and without a GPU.

    python tests/tools/surface_check.py minivit --xp xp        # exit 1 when a line would fail under CuPy

Walks the syntax trees. Every `xp.name` must exist in cupy, and every call of one must bind to CuPy's signature (how
many arguments, which keywords). Every `.method(...)` that NumPy arrays have must exist on cupy.ndarray and take the
keywords given.
"""

import argparse
import ast
import inspect
import pathlib
import re
import sys

import cupy
import numpy as np

UFUNC_KEYWORDS = {"out", "dtype", "casting"}
KEYWORDS = {  # functions that take **kwargs, so that their signature says nothing
    "einsum": {"optimize", "dtype"},
    "matmul": {"out", "dtype", "casting", "axes", "axis"},
    "meshgrid": {"indexing", "sparse", "copy"},
    "pad": {"constant_values", "mode"},
    "frombuffer": {"dtype", "count", "offset"},
}
NUMPY_ONLY = {"ctypes", "__array_interface__", "itemset", "newbyteorder", "setflags"}


def signature_in_docstring(method):
    """(keywords, most positional arguments) of a Cython function or method, without self, from the first line of its
    docstring, or None."""
    match = re.match(r"[\w.]+\((.*)\)(\s*->.*)?$", (method.__doc__ or "").split("\n")[0])
    if not match:
        return None
    parameters = [p.strip() for p in match.group(1).split(",") if p.strip()]
    if parameters and parameters[0].split()[-1] == "self":
        del parameters[0]
    named = [p for p in parameters if not p.startswith("*")]
    keywords = {p.split("=")[0].split()[-1] for p in named}
    return keywords, 99 if len(named) < len(parameters) else len(named)


def problem_of_call(path, function, positional, keywords):
    """What is wrong with calling cupy's `path` like this; None if nothing is."""
    name = path.split(".")[-1]
    if isinstance(function, cupy.ufunc):
        if keywords - UFUNC_KEYWORDS:
            return f"{path}: CuPy's ufuncs take only {sorted(UFUNC_KEYWORDS)}, not {sorted(keywords - UFUNC_KEYWORDS)}"
        most = function.nin + function.nout
        return f"{path}: {positional} positional arguments, CuPy takes {most}" if positional > most else None
    if name == "matmul" and positional > 2:
        return f"{path}: out must be a keyword in CuPy"
    if name in KEYWORDS:
        unknown = keywords - KEYWORDS[name]
        return f"{path}: CuPy does not take {sorted(unknown)}" if unknown else None
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        known = signature_in_docstring(function)
        if known and keywords - known[0]:
            return f"{path}: CuPy does not take {sorted(keywords - known[0])}"
        if known and positional > known[1]:
            return f"{path}: {positional} positional arguments, CuPy takes {known[1]}"
        return None
    try:
        signature.bind(*[None] * positional, **dict.fromkeys(keywords))
    except TypeError as error:
        return f"{path}{signature}: {error}"
    return None


def problem_of_method(call):
    """What is wrong with `something.method(...)`, if NumPy's arrays have that method; None if nothing is."""
    name = call.func.attr
    if not hasattr(np.ndarray, name) or any(hasattr(kind, name) for kind in (dict, list, str)):
        return None
    if not hasattr(cupy.ndarray, name):
        return f".{name}() is not a method of cupy.ndarray"
    known = signature_in_docstring(getattr(cupy.ndarray, name))
    unknown = {k.arg for k in call.keywords if k.arg} - known[0] if known else set()
    return f".{name}(): CuPy does not take {sorted(unknown)}" if unknown else None


def chain(node):
    """`a.b.c` as ("a", ["b", "c"]); the root is None where the chain does not start at a name."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else None), names[::-1]


def check_file(path, roots):
    """([(line, problem)], the names used) of one file; `roots` are the names that stand for the array library."""
    tree, problems, used = ast.parse(path.read_text(encoding="utf-8"), str(path)), [], set()
    nodes = list(ast.walk(tree))
    parent = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
    imports = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    host_modules = {a.asname or a.name.split(".")[0] for node in imports for a in node.names} - roots
    for node in nodes:
        if not isinstance(node, ast.Attribute):
            continue
        root, names = chain(node)
        above = parent.get(node)
        call = above if isinstance(above, ast.Call) and above.func is node else None
        problem = None
        if root in roots:
            if isinstance(above, ast.Attribute):
                continue  # the whole chain is looked at once, from its end
            used.add(".".join(names))
            problem = problem_of_name(names, call)
        elif root not in host_modules:
            if node.attr in NUMPY_ONLY and not hasattr(cupy.ndarray, node.attr):
                problem = f".{node.attr} is not an attribute of cupy.ndarray"
            elif call is not None:
                problem = problem_of_method(call)
        if problem:
            problems.append((node.lineno, problem))
    return problems, used


def problem_of_name(names, call):
    """What is wrong with `xp.names`, and with calling it if `call` is given; None if nothing is."""
    found = cupy
    for i, name in enumerate(names):
        if not hasattr(found, name):
            return f"cupy.{'.'.join(names[: i + 1])} does not exist"
        found = getattr(found, name)
    starred = call and (any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords))
    if call is None or starred:
        return None
    return problem_of_call("cupy." + ".".join(names), found, len(call.args), {k.arg for k in call.keywords})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=pathlib.Path, help="a file or a folder")
    parser.add_argument("--xp", nargs="+", default=["xp"], help="names that stand for numpy or cupy (default: xp)")
    arguments = parser.parse_args()
    files = sorted(arguments.source.rglob("*.py")) if arguments.source.is_dir() else [arguments.source]
    failures, names = 0, set()
    for file in files:
        problems, used = check_file(file, set(arguments.xp))
        names |= used
        failures += len(problems)
        for line, problem in problems:
            print(f"{file}:{line}: {problem}")
    print(f"{len(files)} files, {len(names)} names checked against cupy {cupy.__version__}: {failures} problems")
    return 1 if failures or not names else 0


if __name__ == "__main__":
    sys.exit(main())
