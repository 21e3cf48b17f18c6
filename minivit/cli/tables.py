"""What the commands print of a result, as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..counted import counted
from ..run.mistakes import Confusion
from ..train import Evaluation
from .output import escaped


def result_line(result: dict[str, Any]) -> str:
    """The one line that a run ends with."""
    return (
        f"test accuracy {100 * result['test_accuracy']:.2f} % ({result['test_correct']} of {result['test_total']}), "
        f"{result['parameters']} parameters, trained in {result['train_seconds']:.1f} s"
    )


def cost_line(result: dict[str, Any]) -> str:
    """What a training cost, whichever machine it ran on, and the machine that it ended on."""
    return f"training: {result['operations']:.1e} operations in matrix products, on {escaped(result['machine'])}"


def tta_line(result: dict[str, Any]) -> str:
    """What a run with test-time augmentation prints before its result."""
    copies = counted(result["tta"], "augmented copy", "augmented copies")
    return (
        f"test-time augmentation: averaged over each image and {copies} of it; "
        f"without it the test accuracy is {100 * result['plain_accuracy']:.2f} %"
    )


def prediction_line(path: str, best: Mapping[str, float]) -> str:
    """A picture and its most probable classes, the best first: photo.jpg: cat (93.1 %), then dog (5.0 %)."""
    first, *others = (f"{escaped(name)} ({100 * share:.1f} %)" for name, share in best.items())
    return f"{escaped(path)}: {first}" + (f", then {', '.join(others)}" if others else "")


def confusion_list(worst: Sequence[Confusion], names: Sequence[str]) -> str:
    """The worst confusions, a line each, with the pictures in which the model was most confident."""
    lines = ["worst confusions"]
    for one in worst:
        shown = ", ".join(f"{escaped(m.name)} ({100 * m.confidence:.1f} %)" for m in one.examples)
        more = ", ..." if one.times > len(one.examples) else ""
        lines.append(
            f"  {names[one.true]} predicted as {names[one.predicted]}, {one.times} of {one.images}: {shown}{more}"
        )
    return "\n".join(lines)


def class_table(result: Evaluation, names: Sequence[str]) -> str:
    """A line for each class: images, recall, precision, and the class it is most often confused with."""
    width = max(5, *map(len, names))
    lines = [f"{'class':>{width}}  images  recall  precision  most often confused with"]
    for k, row in enumerate(result.confusion):
        found, images, predicted = row[k], row.sum(), result.confusion[:, k].sum()
        others = row.copy()
        others[k] = 0
        mistake = f"{names[others.argmax()]} ({counted(others.max(), 'time')})" if others.any() else "-"
        recall = f"{100 * found / images:5.1f} %" if images else "      -"
        precision = f"{100 * found / predicted:5.1f} %" if predicted else "      -"
        lines.append(f"{names[k]:>{width}}  {images:>6}  {recall}    {precision}  {mistake}")
    return "\n".join(lines)


def confusion_table(result: Evaluation, names: Sequence[str]) -> str:
    """The confusion matrix: a row for each true class, a column for each predicted one; a dot is a zero. Columns carry
    the classes' numbers where names would not fit."""
    K = len(result.confusion)
    columns = names if max(map(len, names)) <= 4 else [str(k) for k in range(K)]
    width = max(*map(len, columns), len(str(result.confusion.max()))) + 1
    heads = [name if columns is names else f"{k} {name}" for k, name in enumerate(names)]
    left = max(16, *map(len, heads))
    lines = ["true \\ predicted".ljust(left) + "".join(f"{column:>{width}}" for column in columns)]
    for head, row in zip(heads, result.confusion):
        lines.append(f"{head:>{left}}" + "".join(f"{count or '.':>{width}}" for count in row))
    return "\n".join(lines)
