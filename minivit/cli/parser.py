"""What can be asked for on the command line, and how. What a command then does is in commands.py and looking.py."""

import argparse
import os
from typing import Any

from .. import __version__
from ..backend import DEVICES
from ..config import ViTConfig
from ..gradcheck.suite import METHODS
from ..run.settings import LEAST_PATCHES
from ..train import DEFAULT, RECIPES, TrainConfig
from ..weights import PIXELS, TARGETS
from . import commands, looking
from .commands import DEFAULT_DATA
from .flags import add_flags, add_loading, add_threads, add_tta, port, size

RUN_HELP = (
    "a run's folder, a model.safetensors, or the word pretrained: the model that comes with minivit; or a safetensors "
    "file, a folder or an .npz file of timm, transformers, open_clip, Meta or Google"
)
PATCH_DEFAULT = (
    f"that of --init; else the longest that divides the images into {LEAST_PATCHES} patches or more, and 7 where they "
    "are grey and 28 x 28"
)
PICTURES_HELP = "PNG, JPEG, ..., or a folder: all pictures in it (needs pillow: minivit[images])"
DATA_HELP = (
    "a folder with a folder of pictures for each class, mnist5k (5,000 digits, comes with minivit), mnist (all "
    "70,000), a folder of IDX files, CIFAR's binary files or archive, or an .npz file of Keras or MedMNIST"
)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `arguments.command` is the function to call, `arguments.parser` the parser of the
    command alone."""
    parser = argparse.ArgumentParser(
        prog="minivit",
        description="A Vision Transformer from first principles: every gradient written by hand, on NumPy and CuPy.",
        epilog="Start with `minivit train`: it learns 3,600 handwritten digits in about a minute, without a network. "
        "`minivit COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"minivit {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(function: Any, name: str, help: str, *, device: bool = True) -> argparse.ArgumentParser:
        made = subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        made.set_defaults(command=function, parser=made)
        if device:
            made.add_argument("--device", choices=DEVICES, default="cpu", help="gpu needs CuPy (default: cpu)")
        return made

    it = command(commands.train, "train", "train a model, and test it once at the end")
    it.set_defaults(device=None)  # with --resume, the run's own
    it.add_argument("--data", help=f"{DATA_HELP} (default: {DEFAULT_DATA})")
    about = "settings, which flags override; the defaults below are those without it and, of the model, without --init"
    recipes = "; ".join(f"{name}: {recipe}" for name, recipe in RECIPES.items())
    it.add_argument("--recipe", choices=tuple(RECIPES), help=f"{about}; {recipes}")
    it.add_argument(
        "--out", metavar="DIR", type=os.path.expanduser, help="the run's folder (default: the first free runs/DATA-N)"
    )
    it.add_argument("--overwrite", action="store_true", help="let --out replace the run that is in its folder")
    it.add_argument(
        "--resume",
        metavar="RUN",
        type=os.path.expanduser,
        help="resume a run that was interrupted, with its own settings and on its own device; "
        "--threads, --save-every, --keep-memory, --device, and --data for data that have moved, may be other than "
        "before",
    )
    it.add_argument(
        "--init",
        metavar="RUN",
        type=os.path.expanduser,
        help="start from the weights of a run, or of another library's model, with a learning-rate schedule of its own "
        "and, where the classes are others, a new head",
    )
    it.add_argument("--pixels", choices=tuple(PIXELS), help="the normalisation, where a file for --init tells none")
    it.add_argument(
        "--image-size",
        type=size,
        default=argparse.SUPPRESS,  # it sets nothing in a run that is resumed
        metavar="S|SHxSW",
        help="the size that images, and the positions of --init, are resized to (default: that of --init; else the "
        "median short edge of pictures, at most 64, and the size that IDX, CIFAR and .npz files hold)",
    )
    it.add_argument(
        "--skip-unreadable", action="store_true", help="leave out pictures that cannot be read, at most a tenth of them"
    )
    it.add_argument("--overfit-batch", action="store_true", help="only check that the model can memorise 64 images")
    add_flags(it.add_argument_group("training"), TrainConfig, DEFAULT.train)
    add_flags(it.add_argument_group("model"), ViTConfig, {"patch_size": PATCH_DEFAULT, **DEFAULT.model})

    it = command(looking.evaluate, "eval", "measure a trained model: accuracy, loss, classes, confusion matrix")
    it.add_argument("run", metavar="RUN", type=os.path.expanduser, help=RUN_HELP)
    it.add_argument("--data", help=DATA_HELP + " (default: what the run was trained on)")
    it.add_argument(
        "--skip-unreadable", action="store_true", help="leave out pictures that cannot be read, at most a tenth of them"
    )
    it.add_argument("--split", choices=("test", "valid", "train"), default="test", help="which part (default: test)")
    it.add_argument(
        "--out",
        metavar="PNG",
        type=os.path.expanduser,
        help="draw the confusion matrix, too (needs matplotlib: minivit[viz])",
    )
    it.add_argument(
        "--mistakes",
        metavar="PNG",
        type=os.path.expanduser,
        help="draw the pictures of the most confident mistakes, too (needs matplotlib: minivit[viz])",
    )
    it.add_argument(
        "--knn",
        metavar="K",
        type=int,
        help="not by the head: by the K training images with the nearest embeddings, of any model, 20 for example",
    )
    add_tta(it)
    add_threads(it)
    add_loading(it)

    it = command(looking.predict, "predict", "name the classes of pictures: those that the model was trained on")
    it.add_argument("run", metavar="RUN", type=os.path.expanduser, help=RUN_HELP)
    it.add_argument("images", metavar="IMAGE", nargs="+", type=os.path.expanduser, help=PICTURES_HELP)
    it.add_argument("--json", action="store_true", help="print a line of JSON for each: {picture, class, best}")
    add_tta(it)
    add_threads(it)
    add_loading(it)

    it = command(looking.embed, "embed", "write the features that a model makes of pictures")
    it.add_argument("run", metavar="RUN", type=os.path.expanduser, help=RUN_HELP)
    it.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=os.path.expanduser,
        help=f"{PICTURES_HELP}; or one data set in IDX, CIFAR or .npz files, its training images first",
    )
    it.add_argument(
        "--out",
        metavar="NPZ",
        type=os.path.expanduser,
        required=True,
        help="the file to write: features (n, D), labels (n,) told from folders or by the data set, names (n,), "
        "class_names (K,)",
    )
    add_threads(it)
    add_loading(it)

    it = command(looking.info, "info", "list a trained model's parameters, shapes and settings", device=False)
    it.add_argument("run", metavar="RUN", type=os.path.expanduser, help=RUN_HELP)
    add_loading(it)

    it = command(commands.convert, "convert", "write a model as another library reads it, or as ONNX", device=False)
    it.add_argument("run", metavar="RUN", type=os.path.expanduser, help=RUN_HELP)
    it.add_argument(
        "out",
        metavar="OUT",
        type=os.path.expanduser,
        help="a new folder; or a file NAME.onnx (needs onnx: minivit[onnx])",
    )
    it.add_argument("--to", choices=TARGETS, help="whose layout the folder has; huggingface: that of transformers")
    add_loading(it)

    it = command(commands.gradcheck, "gradcheck", "check every gradient against measurements", device=False)
    it.add_argument("--op", metavar="NAME", help="only this operation (attention, ...) or model switch (default: all)")
    it.add_argument(
        "--model",
        metavar="RUN",
        type=os.path.expanduser,
        help=f"this model instead, a random direction for each of its tensors: {RUN_HELP}",
    )
    it.add_argument("--method", choices=tuple(METHODS), default="both", help="how to measure (default: both)")
    it.add_argument(
        "--json", action="store_true", help="print a list of {op, tensor, method, relative_error, passed, problem}"
    )
    it.add_argument(
        "--plot",
        metavar="PNG",
        type=os.path.expanduser,
        help="only draw the error against the step size, in float32 and float64",
    )
    add_loading(it)

    it = command(commands.explain, "explain", "print the derivation of an operation's backward pass", device=False)
    it.add_argument("name", nargs="?", metavar="NAME", help="layernorm, ...; without it, all of them in reading order")

    it = command(commands.walk, "walk", "follow one digit through a model and back", device=False)
    it.add_argument("--index", type=int, default=0, help="which of the bundled test digits (default: 0)")
    it.add_argument(
        "--model",
        metavar="RUN",
        type=os.path.expanduser,
        help=f"through this model (default: a tiny untrained one): {RUN_HELP}",
    )
    it.add_argument("--block", type=int, metavar="I", help="only the tensors of block number I, from 0 (default: all)")
    add_loading(it)

    it = command(commands.play, "play", "open a page in the browser: draw a digit, see every number", device=False)
    help = "a run's folder, also one that is training; or the words pretrained (the default) or tiny"
    it.add_argument("run", metavar="RUN", nargs="?", default="pretrained", help=help)
    it.add_argument("--port", type=port, help="the port on 127.0.0.1 (default: a free one)")
    it.add_argument("--no-browser", action="store_true", help="only print the address")
    help = "write the page as one file instead, which needs no server"
    it.add_argument("--export", metavar="HTML", type=os.path.expanduser, help=help)

    it = command(looking.attend, "attend", "show where a trained model looks in a picture")
    it.add_argument("run", metavar="RUN", type=os.path.expanduser, help=RUN_HELP)
    it.add_argument(
        "image", metavar="IMAGE", type=os.path.expanduser, help="PNG, JPEG, ... (needs pillow: minivit[images])"
    )
    it.add_argument(
        "--out", metavar="PNG", type=os.path.expanduser, help="draw it, too (needs matplotlib: minivit[viz])"
    )
    add_loading(it)

    it = command(
        commands.data, "data", "look through a data set before training; or fetch MNIST and verify it", device=False
    )
    it.add_argument(
        "name",
        metavar="PATH",
        nargs="?",
        default="mnist",
        help=f"{DATA_HELP}: its classes, counts and sizes, what cannot be read, copies, what would be held out. mnist, "
        "or nothing, fetches MNIST, verifies it and keeps it in the cache",
    )
    it.add_argument("--image-size", type=size, metavar="S|SHxSW", help="the size that images are resized to")
    it.add_argument("--clear", action="store_true", help="remove the decoded pictures that are kept in the cache")
    it.add_argument("--mirror", metavar="URL", action="append", help="fetch from here instead; may be repeated")
    return parser
