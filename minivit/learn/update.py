"""Training on one image, step by step and back: AdamW moves every parameter, and the passes run again."""

from typing import NamedTuple

from ..optim import AdamWState, adamw_step, decay_vector
from .tape import Tape, norm


class Update(NamedTuple):
    """The tape after an AdamW step. To undo the step, go on with `before`: nothing of it has changed."""

    tape: Tape
    state: AdamWState
    before: "Update | None"  # None: no step has been taken

    @property
    def moved(self) -> dict[str, float]:
        """How far the last step has moved every parameter: the norm of the difference."""
        if self.before is None:
            return dict.fromkeys(self.tape.params, 0.0)
        old = self.before.tape.params
        return {name: norm(value - old[name]) for name, value in self.tape.params.items()}


def not_updated(tape: Tape) -> Update:
    """Where the steps begin: a tape, and AdamW's state before the first one."""
    return Update(tape, AdamWState.zeros_like(tape.params.flat), None)


def update(last: Update, learning_rate: float = 1e-3, weight_decay: float = 0.05) -> Update:
    """One AdamW step along the gradient of the last tape, and the tape of the same image after it. `last` stays as it
    is. Weight decay is of the weight matrices only. With a bug, the gradient that moves the parameters is its."""
    tape, state = last.tape, last.state.__copy__()
    params = tape.params.copy()
    decay = decay_vector(params.shapes, weight_decay, "float64")
    adamw_step(params.flat, tape.grads.flat.copy(), state, learning_rate, decay)
    return Update(tape.with_params(params), state, last)
