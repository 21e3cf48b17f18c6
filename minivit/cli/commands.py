"""What each command does: call the part of minivit that does the work, and print what it returns. Those that look at a
trained model are in looking.py."""

import argparse
import dataclasses
import sys
from typing import Any

from .. import weights
from ..config import ViTConfig
from ..data import Reading, cache_folder, clear_cache, fetch_mnist, report
from ..errors import ConfigError
from ..gradcheck import plot_curve, run_model
from ..gradcheck import run as run_checks
from ..learn.explain import explain as derivations
from ..learn.walk import walk as walk_through
from ..page.play import export_page, play_page
from ..run import load_run, of_minivit, resume_run, start_run
from ..run.folder import shell_name
from ..run.overfit import overfit
from ..run.pictures import draw_pictures
from ..train import TrainConfig, recipe_called
from ..weights.onnx import export_onnx
from .given import answers, load
from .output import escaped
from .tables import cost_line, result_line, tta_line

DEFAULT_DATA = "mnist5k"


def train(arguments: argparse.Namespace) -> None:
    settings = _settings(ViTConfig, arguments), _settings(TrainConfig, arguments)
    recipe = recipe_called(
        arguments.recipe,
        has_model=(arguments.init or arguments.resume) is not None,
        settled=arguments.resume is not None or arguments.overfit_batch,
    )
    model_settings, train_settings = {**recipe.model, **settings[0]}, {**recipe.train, **settings[1]}
    for_photos = {name: value for name, value in recipe.photos.items() if name not in settings[1]}
    data = DEFAULT_DATA if arguments.data is None else arguments.data  # an empty name is a mistake
    device = arguments.device or "cpu"
    if arguments.resume is not None:
        _refuse_beside(
            arguments, "--resume", ("recipe", "out", "overwrite", "init", "pixels", "skip_unreadable", "overfit_batch")
        )
        run = resume_run(
            arguments.resume, arguments.device, data=arguments.data, model_settings=model_settings,
            train_settings=train_settings, say=_say, bar=True, ranks=arguments.ranks,
        )  # fmt: skip
    elif arguments.overfit_batch:
        _refuse_beside(arguments, "--overfit-batch", ("out", "overwrite", "init", "pixels"))
        reading = Reading(
            image_size=model_settings.pop("image_size", None), skip_unreadable=arguments.skip_unreadable, bar=True
        )
        return overfit(data, model_settings, train_settings, device, reading=reading, say=_say)
    else:
        if train_settings.get("minutes") and settings[1].get("epochs"):
            raise ConfigError("--minutes sets the number of epochs: leave out --epochs, or --minutes")
        if "images_seen" in settings[1] and train_settings.get("minutes"):
            raise ConfigError("--minutes sets the number of epochs: leave out --images-seen, or --minutes")
        if "images_seen" in settings[1] and train_settings.get("epochs"):
            raise ConfigError(
                "--images-seen is for an automatic number of epochs, which --epochs and every recipe set: leave it "
                "out, or say --epochs auto"
            )
        if arguments.overwrite and arguments.out is None:
            raise ConfigError("--overwrite replaces the run in a folder: say which with --out")
        config = TrainConfig(**train_settings)
        for note in _without_effect(settings[1], config, model_settings):
            _say(f"note: {note}")
        out, overwrite, init = arguments.out, arguments.overwrite, arguments.init
        image_size = model_settings.pop("image_size", None)
        run = start_run(
            data, out, model_settings, config, device, overwrite, init, pixels=arguments.pixels,
            image_size=image_size, skip_unreadable=arguments.skip_unreadable, for_photos=for_photos, say=_say, bar=True,
            ranks=arguments.ranks,
        )  # fmt: skip
    if arguments.ranks.rank:
        return
    note = draw_pictures(run.folder, run.mistakes)
    print(f"\nthe run is in {run.folder}{f' ({note})' if note else ''}; next:")
    name = shell_name(run.folder)
    print(f"  minivit eval {name}                per class, and the confusion matrix")
    made = run.model.preprocessing
    picture = "digit.png" if made is None or made.rule == "digit" else "photo.jpg"
    print(f"  minivit predict {name} {picture}   a photo or drawing of your own")
    print(f"  minivit info {name}                what the model is made of")
    assert run.result is not None
    if run.result.get("operations"):
        print(cost_line(run.result))
    if run.result.get("tta"):
        print(tta_line(run.result))
    print(result_line(run.result))


def convert(arguments: argparse.Namespace) -> None:
    if arguments.out.endswith(".onnx") == (arguments.to is not None):
        raise ConfigError(f"{arguments.out}: a folder needs --to {'|'.join(weights.TARGETS)}, a file .onnx takes none")
    model, licence = load(arguments).model, None
    if not of_minivit(arguments.run):
        description = weights.describe(arguments.run, weights.Answers(**answers(arguments)))
        licence = description.licence
        if description.plan.unused:
            print(f"not used and not written: {', '.join(weights.grouped(description.plan.unused))}")
    if arguments.to is None:
        export_onnx(model, arguments.out)
        print(f"written to {escaped(arguments.out)}: {model.params.flat.size:,} values, for ONNX")
        return
    notes = weights.convert(model.params, model.config, model.preprocessing, arguments.out, arguments.to, licence)
    for note in notes:
        print(f"note: {note}")
    print(f"written to {escaped(arguments.out)}: {model.params.flat.size:,} values, for {arguments.to}")


def data(arguments: argparse.Namespace) -> None:
    if arguments.clear:
        _refuse_beside(arguments, "--clear", ("mirror", "image_size"))
        if arguments.name != "mnist":
            raise ConfigError(f"--clear empties the cache, all data sets' pictures in it: leave out {arguments.name}")
        print(f"{clear_cache() / 1e6:.1f} MB of decoded pictures removed from {cache_folder()}")
    elif arguments.name == "mnist":
        print(f"MNIST is verified and ready in {fetch_mnist(arguments.mirror)}")
    else:
        for line in report(arguments.name, Reading(image_size=arguments.image_size, bar=True)):
            print(escaped(line))


def gradcheck(arguments: argparse.Namespace) -> int:
    if arguments.plot is not None:
        print(plot_curve(arguments.plot))
        return 0
    if arguments.model and arguments.op:
        raise ConfigError("--op chooses among minivit's own operations, --model is checked whole: give one of them")
    if arguments.model:
        results = run_model(load_run(arguments.model, **answers(arguments)).model, arguments.model, arguments.method)
    else:
        results = run_checks(arguments.op, arguments.method, progress=sys.stderr.isatty())
    print(results.to_json() if arguments.json else results)
    return 0 if results.passed else 1


def explain(arguments: argparse.Namespace) -> None:
    print(derivations(arguments.name))


def walk(arguments: argparse.Namespace) -> None:
    model = load_run(arguments.model, **answers(arguments)).model if arguments.model else None
    print(walk_through(arguments.index, model, arguments.block))


def play(arguments: argparse.Namespace) -> None:
    if arguments.export is not None:
        _refuse_beside(arguments, "--export", ("port", "no_browser"))
        print(export_page(arguments.run, arguments.export))
        return
    play_page(arguments.run, arguments.port or 0, not arguments.no_browser, _say)


def _settings(config: type, arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a config dataclass that were given as flags."""
    return {f.name: getattr(arguments, f.name) for f in dataclasses.fields(config) if hasattr(arguments, f.name)}


def _without_effect(given: dict[str, Any], config: TrainConfig, model_settings: dict[str, Any]) -> list[str]:
    """A line for every flag of the training that changes nothing beside the others."""
    idle = (
        ("muon_decay", config.muon is None, "--muon off"),
        ("patch_dropout_until", not model_settings.get("patch_dropout"), "--patch-dropout 0"),
        ("augment", config.augmentation == "none", "--augmentation none"),
    )
    found = [(name, beside) for name, off, beside in idle if off and given.get(name)]
    return [f"--{name.replace('_', '-')} has no effect beside {beside}" for name, beside in found]


def _refuse_beside(arguments: argparse.Namespace, flag: str, names: tuple[str, ...]) -> None:
    """Raise ConfigError, naming them, for flags that would be ignored beside another."""
    found = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) not in (None, False)]
    if found:
        raise ConfigError(f"{flag} has no use for {' and '.join(found)}: leave out one or the other")


def _say(line: str) -> None:
    print(line, flush=True)
