"""The command line: `minivit train`, `eval`, `predict`, `info`, `data`. Each command parses, calls, prints.

Flags are made from the config dataclasses, so that every hyperparameter is written once.
"""

import argparse
import dataclasses
import sys
import types
import typing
import warnings
from collections.abc import Sequence
from typing import Any

from . import __version__
from .backend import DEVICES, DeviceError
from .config import TrainConfig, ViTConfig
from .machine import available_cores
from .train import TrainingError

FROM_DATA = ("image_size", "channels", "classes", "pixel_mean", "pixel_std")  # settings that the data decide
DATA_HELP = "mnist5k (5,000 digits, comes with minivit), mnist (all 70,000), or a folder of IDX files"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0, 1 when training failed, 2 for bad input, 130 after Ctrl-C."""
    from .run import Interrupted

    arguments = _parser().parse_args(argv)
    warnings.filterwarnings("ignore", ".* encountered in", RuntimeWarning)  # training finds and names NaN itself
    try:
        arguments.command(arguments)
    except Interrupted as error:
        return _complain(error, 130)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except TrainingError as error:
        return _complain(error, 1)
    except (ValueError, TypeError, OSError, DeviceError) as error:
        return _complain(error, 2)
    return 0


def train(arguments: argparse.Namespace) -> None:
    from .diagnose import overfit
    from .run import result_line, resume_run, start_run
    from .viz import save_curves

    settings = model_settings, train_settings = _settings(ViTConfig, arguments), _settings(TrainConfig, arguments)
    if arguments.overfit_batch:
        return overfit(arguments.data, model_settings, train_settings, arguments.device)
    if arguments.resume is None:
        data, out, device = arguments.data, arguments.out, arguments.device
        run = start_run(data, out, model_settings, TrainConfig(**train_settings), device, arguments.overwrite)
    elif any(settings) or arguments.out is not None:
        raise ValueError("--resume goes on with the settings the run was started with: give no others beside it")
    else:
        run = resume_run(arguments.resume, arguments.device)
    drawn = save_curves(run.folder)
    print(f"\nthe run is in {run.folder}{'' if drawn else ' (pip install minivit[viz] also draws its curves)'}; next:")
    print(f"  minivit eval {run.folder}                per class, and what is taken for what")
    print(f"  minivit predict {run.folder} digit.png   a photo or drawing of your own")
    print(f"  minivit info {run.folder}                what the model is made of")
    assert run.result is not None
    print(result_line(run.result))


def evaluate(arguments: argparse.Namespace) -> None:
    from .data import load, split_validation
    from .evaluate import class_table, confusion_table, evaluate
    from .inputs import check_batch
    from .parallel import Workers
    from .run import load_run, overlap

    run = load_run(arguments.run, arguments.device)
    name = arguments.data or run.settings.get("data", "mnist5k")
    dataset = load(name)
    validation = run.settings.get("train", {}).get("validation")
    training, valid = split_validation(dataset.train, validation)
    split = {"test": dataset.test, "valid": valid, "train": training}[arguments.split]
    check_batch(split.images, split.labels, run.model.config)
    seen = overlap(run, split)
    result = evaluate(run.model, split, Workers(arguments.threads))
    print(class_table(result), confusion_table(result), sep="\n\n", end="\n\n")
    if seen:
        print(f"warning: {seen} of these {result.total} images were in the run's training set", file=sys.stderr)
    if seen is None:
        print("warning: the run's training data are not here to compare with these", file=sys.stderr)
    print(
        f"{name} {arguments.split}: accuracy {100 * result.accuracy:.2f} % ({result.correct} of {result.total}), "
        f"loss {result.loss:.4f}"
    )


def predict(arguments: argparse.Namespace) -> None:
    import numpy

    from .data.picture import read_picture
    from .run import load_run

    model = load_run(arguments.run, arguments.device).model
    for path in arguments.images:
        picture = read_picture(path, *model.config.image_shape)
        probabilities = model.predict(picture[None], arguments.threads)[0]
        best = numpy.argsort(probabilities)[::-1][:3]
        guesses = [f"{k} ({100 * probabilities[k]:.1f} %)" for k in best]
        print(f"{path}: {guesses[0]}, then {' and '.join(guesses[1:])}" if len(best) > 1 else f"{path}: {guesses[0]}")


def info(arguments: argparse.Namespace) -> None:
    from .run import load_run, result_line

    run = load_run(arguments.run)
    params = run.model.params
    width = max(map(len, params))
    print(f"{'parameter':<{width}}  {'shape':<14}{'numbers':>9}")
    for name, value in params.items():
        print(f"{name:<{width}}  {str(value.shape):<14}{value.size:>9,}")
    print(f"{'total':<{width}}  {'':<14}{params.flat.size:>9,}  ({params.flat.nbytes:,} bytes, {params.flat.dtype})\n")
    for name, value in run.model.config.to_dict().items():
        print(f"{name:<18}{value}")
    if run.result:
        print(f"\ntrained on {run.result['data']}, seed {run.result['seed']}: {result_line(run.result)}")


def data(arguments: argparse.Namespace) -> None:
    from .data import fetch_mnist

    print(f"MNIST is verified and ready in {fetch_mnist(arguments.mirror)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minivit",
        description="A Vision Transformer from first principles: every gradient written by hand, on NumPy and CuPy.",
        epilog="Start with `minivit train`: it learns 3,600 handwritten digits in about a minute, without a network. "
        "`minivit COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"minivit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function: Any, name: str, help: str, *, device: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        made.set_defaults(command=function)
        if device:
            made.add_argument("--device", choices=DEVICES, default="cpu", help="gpu needs CuPy (default: cpu)")
        return made

    it = command(train, "train", "train a model, and test it once at the end")
    it.add_argument("--data", default="mnist5k", help=DATA_HELP + " (default: mnist5k)")
    it.add_argument("--out", metavar="DIR", help="the run's folder (default: the first free runs/DATA-N)")
    it.add_argument("--overwrite", action="store_true", help="let --out be the folder of another run, which is lost")
    it.add_argument("--resume", metavar="RUN", help="go on with a run that was interrupted, with its own settings")
    it.add_argument("--overfit-batch", action="store_true", help="only check that 64 images can be learned by heart")
    _add_flags(it.add_argument_group("training"), TrainConfig)
    _add_flags(it.add_argument_group("model"), ViTConfig)

    it = command(evaluate, "eval", "measure a trained model: accuracy, loss, a line per class, the confusion matrix")
    it.add_argument("run", metavar="RUN", help="a run's folder, or a model.safetensors")
    it.add_argument("--data", help=DATA_HELP + " (default: what the run was trained on)")
    it.add_argument("--split", choices=("test", "valid", "train"), default="test", help="which part (default: test)")
    _add_threads(it)

    it = command(predict, "predict", "classify pictures: photos or drawings of a digit, dark on light or light on dark")
    it.add_argument("run", metavar="RUN", help="a run's folder, or a model.safetensors")
    it.add_argument("images", metavar="IMAGE", nargs="+", help="PNG, JPEG, ... (needs pillow: minivit[viz])")
    _add_threads(it)

    it = command(info, "info", "list a trained model's parameters, shapes and settings", device=False)
    it.add_argument("run", metavar="RUN", help="a run's folder, or a model.safetensors")

    it = command(data, "data", "fetch a data set, verify it and keep it in the cache", device=False)
    it.add_argument("name", choices=("mnist",), help="which data set")
    it.add_argument("--mirror", metavar="URL", action="append", help="try this address first; may be repeated")
    return parser


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=available_cores(), help="threads (default: the cores available)")


def _add_flags(group: Any, config: type) -> None:
    """A flag for each field of a config dataclass: --its-name, typed, with its help. Flags that are not given set
    nothing, so the dataclass keeps its defaults."""
    types_of = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if field.name in FROM_DATA:
            continue
        flag, hint = "--" + field.name.replace("_", "-"), types_of[field.name]
        shown = "" if field.default is None else f" (default: {field.default})"
        more = {"default": argparse.SUPPRESS, "help": field.metadata["help"] + shown}
        if hint is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **more)
            continue
        if isinstance(hint, types.UnionType):  # int | None
            hint = next(one for one in typing.get_args(hint) if one is not types.NoneType)
        choices = field.metadata["choices"]
        group.add_argument(flag, type=hint, choices=choices, metavar=None if choices else hint.__name__.upper(), **more)


def _settings(config: type, arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a config dataclass that were given as flags."""
    return {f.name: getattr(arguments, f.name) for f in dataclasses.fields(config) if hasattr(arguments, f.name)}


def _complain(error: Any, status: int) -> int:
    print(f"minivit: {error}", file=sys.stderr)
    return status
