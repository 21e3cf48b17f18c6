"""Which epoch of a run was the best one by the images held out for validation, and whether to wait for a better one."""

from collections.abc import Sequence
from typing import Any


def best_of(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of the reports of a run, that of the best epoch: the highest accuracy on the validation images, among equal ones
    the lowest loss, among equal ones the first. Raises ValueError if none was validated."""
    return max((one for one in reports if _validated(one)), key=_rank)


def is_best(reports: Sequence[dict[str, Any]]) -> bool:
    """Whether the last report is that of the best epoch so far."""
    return _validated(reports[-1]) and best_of(reports) is reports[-1]


def out_of_patience(reports: Sequence[dict[str, Any]], patience: int | None) -> bool:
    """Whether in so many epochs in a row neither the accuracy nor the loss was better than ever before; never for None.
    The accuracy of few images hardly tells one epoch from the next, the loss may rise while the accuracy does, too."""
    validated = [one for one in reports if _validated(one)]
    if patience is None or not validated:
        return False
    lowest = min(validated, key=lambda one: one["valid_loss"])
    return validated[-1]["epoch"] - max(best_of(validated)["epoch"], lowest["epoch"]) >= patience


def _validated(report: dict[str, Any]) -> bool:
    return report["valid_accuracy"] is not None


def _rank(report: dict[str, Any]) -> tuple[float, float]:
    return report["valid_accuracy"], -report["valid_loss"]
