"""check_function: a function that returns its value and the gradients together."""

from collections.abc import Callable, Mapping
from typing import Any

from .checker import Options, check, title
from .convention import Pair
from .report import Report


def check_function(
    function: Callable[..., tuple[Any, Any]], inputs: Mapping[str, Any], *, name: str | None = None, **options: Any
) -> Report:
    """Check the gradients of one `value, gradients = function(**inputs)`, a loss say; the value is one number.

        check_function(softmax_loss, {"x": x, "y": labels})
        check_function(lambda **params: model_loss(params, x, labels), params)      # gradients in a dictionary, by name

    The gradients may come in every form that `check_pair` takes from backward. options: method, fixed, zeros, bound,
    seed, dtype, seed_numpy and causes, as in `check_pair`, whose errors these are.
    """
    pair = Pair(function, _hand_over, ones=True, function=True)
    return check(pair, inputs, Options.of(options), name or title(function))


def _hand_over(dy: Any, gradients: Any) -> Any:
    """The backward pass of a function: what it returned beside its value."""
    return gradients
