"""The page as one file: the same page with the answers in it, which opens from anywhere and asks for nothing.

The tiny model is complete, in float64, for ten digits. Of the other model activations and gradients are rounded to
float32, for as many digits as fit.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..atomic import write_atomically
from ..learn.tape import Tape, record
from . import answers, assets
from .examples import Examples, examples_of
from .given import described
from .models import Shown, tiny
from .pack import pack

LARGEST = 12 * 1000 * 1000  # bytes
FEWEST = 2  # digits of the model
MEASURED = {"f8": 5, "f4": 1}  # entries of each tensor whose finite differences are in the file


def export(model: Shown | None, path: str | Path) -> dict[str, int]:
    """Write the page of a model, and of the tiny one, to a file, atomically; None: of the tiny one only. Returns how
    many digits of each are in it. Raises OSError if it cannot be written."""
    data: dict[str, Any] = {
        "meta": {"version": __version__, "models": [], "bugs": [], "rate": 0},
        "parameters": {},
        "runs": {},
    }
    small = tiny()
    for k in range(10):
        _add(data, small, examples_of(small), k, "f8")
    size = len(_page(data))
    if model is not None:
        examples = examples_of(model)
        for k in range(len(examples.labels)):
            before = size
            _add(data, model, examples, k, "f4")
            size = len(_page(data))
            if k >= FEWEST and size > LARGEST:
                del data["runs"][model.key][str(k)]
                break
            if size + (size - before) > LARGEST and k + 1 >= FEWEST:
                break
        data["meta"]["models"].reverse()
    write_atomically(path, _page(data))
    return {key: len(runs) for key, runs in data["runs"].items()}


def _add(data: dict[str, Any], model: Shown, examples: Examples, k: int, dtype: str) -> None:
    """The answers of a picture; with the first one, the model itself."""
    label = examples.labels[k] if examples.labels[k] < (model.config.classes or 0) else None
    tape = record(model.params, model.config, examples.images[k], label)
    if model.key not in data["runs"]:
        data["meta"]["models"].append(described(model, tape, examples, dtype=dtype))
        data["runs"][model.key] = {}
        data["parameters"][model.key] = {
            name: {"value": pack(step.value, dtype)} for name, step in tape.steps.items() if step.kind == "parameter"
        }
    data["runs"][model.key][str(k)] = {
        "answer": answers.summary(tape, examples.images[k], dtype),
        "tensors": {name: _tensor(tape, name, dtype) for name in tape.steps},
        "slopes": {name: _slopes(tape, name, MEASURED[dtype]) for name in tape.steps},
    }


def _tensor(tape: Tape, name: str, dtype: str) -> dict[str, Any]:
    """A tensor without what the model holds anyway."""
    found = answers.tensor(tape, name, dtype)
    if tape.steps[name].kind == "parameter":
        del found["value"]
    return found


def _slopes(tape: Tape, name: str, most: int) -> list[dict[str, Any]]:
    """Finite differences of the entries with the largest gradients."""
    gradient = tape.steps[name].grad
    largest = np.argsort(-abs(gradient), axis=None)[:most]
    entries = [tuple(int(i) for i in np.unravel_index(place, gradient.shape)) for place in largest]
    return [answers.slope(tape, name, entry) for entry in entries]


def _page(data: dict[str, Any]) -> bytes:
    """The page with its scripts, its style and the data inline, and a policy that lets only these run."""
    page = assets.text(assets.PAGE)
    style = assets.text("style.css")
    names = assets.SCRIPT.findall(page)
    scripts = [assets.text(name).replace("</script", "<\\/script") for name in names]
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {_hash(style)}; "
        "img-src data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    inline = "".join(f"<script>{script}</script>\n" for script in scripts)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    page = page.replace('<meta name="viewport"', meta + '<meta name="viewport"')
    page = page.replace('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>")
    first, _, rest = page.partition(f'<script src="{names[0]}"></script>\n')
    rest = assets.SCRIPT.sub("", rest)
    return f'{first}<script type="application/json" id="data">{text}</script>\n{inline}{rest}'.encode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
