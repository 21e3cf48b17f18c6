"""What the page knows of a model from the beginning."""

from typing import Any

from ..learn.tape import Tape
from . import describe
from .examples import Examples
from .models import Shown
from .pack import pack


def described(model: Shown, tape: Tape, examples: Examples, live: bool = False, dtype: str = "f8") -> dict[str, Any]:
    """A model for the page. live: whether it is of a run that is looked at again."""
    config, graph = model.config, describe.tensors(tape)
    return {
        "key": model.key,
        "title": model.title,
        "parameters": int(model.params.flat.size),
        "dtype": dtype,
        "live": live,
        "graph": graph,
        "sources": describe.sources(graph),
        "digits": _examples(examples),
        "examples": examples.source,
        "config": {
            **{
                name: getattr(config, name)
                for name in ("classes", "class_names", "dim", "depth", "heads", "patch_size")
            },
            **{name: getattr(config, name) for name in ("pool", "channels", "prefix", "tokens", "grid")},
            "side": config.image_shape[1:],
            "rule": "digit" if model.preprocessing is None else model.preprocessing.rule,
        },
    }


def _examples(examples: Examples) -> list[dict[str, Any]]:
    return [
        {"index": i, "label": label, "number": number, "pixels": pack(image, "u1")}
        for i, (image, label, number) in enumerate(zip(*examples[:3]))
    ]
