"""Commands as processes in surroundings that people have: encodings, names, closed and full outputs, no home."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.tools import tiny

NO_HOME = """
import pwd, sys
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody
from minivit.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def digit(tmp_path_factory):
    pillow = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    path = tmp_path_factory.mktemp("picture") / "one.png"
    drawing = np.full((40, 40), 255, "uint8")
    drawing[5:35, 18:22] = 0
    pillow.fromarray(drawing).save(path)
    return path


def run(*arguments, options=(), program=("-m", "minivit"), environment=None, close=(), **streams):
    """Status, stdout and stderr, as bytes, of a command in an environment of its own. close: descriptors."""
    names = ("PATH", "SYSTEMROOT", "HOME", "USERPROFILE", "MINIVIT_DATA")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(tiny.ROOT), "LC_ALL": "C.UTF-8", **(environment or {})}
    environment = {name: value for name, value in environment.items() if value is not None}
    command = [sys.executable, *options, *program, *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    before = (lambda: [os.close(descriptor) for descriptor in close]) if close else None
    done = subprocess.run(command, env=environment, preexec_fn=before, timeout=120, cwd=tiny.ROOT, **streams)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-16", "utf-8"])
@pytest.mark.parametrize("command", [["explain", "gelu"], ["explain", "attention"], ["walk"]], ids=" ".join)
def test_any_encoding(command, encoding):
    """Characters that it lacks are printed as escapes."""
    status, out, errors = run(*command, environment={"PYTHONIOENCODING": encoding})
    assert (status, errors) == (0, b"")
    text = out.decode(encoding)
    assert len(text) > 1000 and ("\\u" in text) == (encoding in ("cp1252", "ascii", "latin-1"))


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "cp1252"])
def test_a_name_that_the_encoding_lacks(encoding, digit, tmp_path):
    path = tmp_path / "Ziffer Ω.png"
    path.write_bytes(digit.read_bytes())
    status, out, errors = run("predict", "pretrained", str(path), environment={"PYTHONIOENCODING": encoding})
    assert (status, errors) == (0, b"")
    assert ("Ω" if encoding.startswith("utf") else r"\u03a9").encode() in out and b": 1 (" in out


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are always text there")
@pytest.mark.parametrize("command", ["predict", "attend", "eval", "info", "train", "unreadable"])
def test_names_that_are_not_utf_8(command, digit, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/f\xfcnf")
    os.mkdir(folder)
    picture, model, data = f"{folder}/one.png", f"{folder}/model.safetensors", f"{folder}/data"
    for path, source in ((picture, digit), (model, tiny.ROOT / "minivit" / "pretrained" / "model.safetensors")):
        with open(path, "wb") as file:
            file.write(source.read_bytes())
    arguments = {
        "predict": ["predict", "pretrained", picture],
        "attend": ["attend", "pretrained", picture, f"--out={folder}/drawn.png"],
        "eval": ["eval", "pretrained", "--data", data],
        "info": ["info", folder],
        "train": ["train", "--data", data, "--out", f"{folder}/run", *tiny.flags(epochs=1)],
        "unreadable": ["predict", "pretrained", f"{folder}/none.png"],
    }
    if command in ("eval", "train"):
        os.mkdir(data)
        tiny.write_data(tmp_path / "data", shape=(1, 28, 28))
        for name in os.listdir(tmp_path / "data"):
            os.rename(tmp_path / "data" / name, f"{data}/{name}")
    if command == "attend":
        pytest.importorskip("matplotlib", reason="attend draws")
    environment = {"PYTHONIOENCODING": "utf-8:strict"}
    status, out, errors = run(*arguments[command], environment=environment)
    assert status == 2 * (command == "unreadable"), errors
    assert b"Traceback" not in errors and errors.count(b"\n") <= (2 if command == "eval" else 1)  # two doubts
    if command != "info":
        assert rb"f\udcfcnf" in out + errors


def test_a_name_of_two_lines_is_printed_on_one(digit, tmp_path):
    path = tmp_path / "one\ntwo\x1b[31m.png"
    try:
        path.write_bytes(digit.read_bytes())
    except OSError:
        pytest.skip("no such names here")
    status, out, _ = run("predict", "pretrained", str(path))
    assert status == 0 and out.count(b"\n") == 1 and rb"one\ntwo\x1b[31m.png: 1 (" in out
    status, _, errors = run("predict", "pretrained", str(path) + ".jpg")
    assert status == 2 and errors.count(b"\n") == 1 and rb"one\ntwo\x1b[31m.png.jpg" in errors


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are closed in another way on Windows")
@pytest.mark.parametrize("close", [(1,), (2,), (1, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("command", ["info", "explain", "predict", "eval", "train", "refused"])
def test_closed_outputs(command, close, digit, tmp_path):
    """As daemons and pythonw have them."""
    if command == "train":
        tiny.write_data(tmp_path / "data")
    arguments = {
        "info": ["info", "pretrained"],
        "explain": ["explain", "softmax"],
        "predict": ["predict", "pretrained", str(digit)],
        "eval": ["eval", "pretrained", "--data", "mnist5k"],
        "train": ["train", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), *tiny.flags(epochs=1)],
        "refused": ["predict", "pretrained", str(tmp_path / "none.png")],
    }
    status, out, errors = run(*arguments[command], close=close)
    assert status == 2 * (command == "refused") and b"Traceback" not in errors
    assert (1 in close) == (out == b"") or command == "refused"
    assert (tmp_path / "run" / "result.json").exists() == (command == "train")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_full_outputs(digit):
    with open("/dev/full", "wb") as full:
        for arguments in (["explain"], ["info", "pretrained"], ["predict", "pretrained", str(digit)]):
            status, _, errors = run(*arguments, stdout=full)
            assert (status, errors) == (2, b"minivit: [Errno 28] No space left on device\n")
        status, out, _ = run("predict", "pretrained", str(digit), "none.png", stderr=full)
        assert status == 2 and b": 1 (" in out


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_without_docstrings_and_asserts(option, digit, tmp_path):
    data = tiny.write_data(tmp_path / "data")
    for arguments in (
        ["explain"],
        ["explain", "softmax"],
        ["walk"],
        ["info", "pretrained"],
        ["predict", "pretrained", str(digit)],
        ["attend", "pretrained", str(digit)],
        ["gradcheck", "--op", "softmax"],
        ["train", "--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=1)],
        ["eval", str(tmp_path / "run")],
        ["--help"],
    ):
        status, out, errors = run(*arguments, options=[option])
        assert (status, errors) == (0, b"") and out, arguments
    for arguments in (["explain"], ["explain", "softmax"]):
        assert run(*arguments, options=[option]) == run(*arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no password database")
def test_no_home_and_no_entry_in_the_password_database(digit, tmp_path):
    """As in containers with a user id of their own."""
    lost = {"program": ("-c", NO_HOME), "environment": {"HOME": None, "MINIVIT_DATA": None}}
    status, out, errors = run("eval", "pretrained", "--data", "mnist5k", **lost)
    assert status == 0 and b"mnist5k test: accuracy" in out
    assert errors == b"warning: the run's training data are not here to compare with these\n"
    status, out, errors = run("predict", "pretrained", str(digit), **lost)
    assert (status, errors) == (0, b"")
    status, out, errors = run("eval", "pretrained", "--data", "mnist", **lost)
    assert status == 2 and errors == (
        b"minivit: there is no home folder to keep data in: set MINIVIT_DATA to a folder\n"
    )
    lost["environment"]["MINIVIT_DATA"] = str(tmp_path)
    assert run("eval", "pretrained", "--data", "mnist5k", **lost)[0] == 0


def test_threads_are_limited_by_omp_num_threads(tmp_path):
    """Those that nobody asked for; the first line says how many there are."""
    data = tiny.write_data(tmp_path / "data")
    train = ["train", "--data", data, *tiny.flags(epochs=1), "--out"]
    for name, more, count in (("a", [], 1), ("b", ["--threads", "2"], 2)):
        status, out, _ = run(*train, str(tmp_path / name), *more, environment={"OMP_NUM_THREADS": "1"})
        assert status == 0 and re.search(rb"^run .* %d threads?\b" % count, out)


def test_the_runtime_warning_filter_ends_with_the_command():
    program = (
        "import warnings; from minivit.cli import main; before = warnings.filters[:]; main(['info', 'pretrained']); "
    )
    program += "assert warnings.filters == before; warnings.warn('invalid value encountered in x', RuntimeWarning)"
    status, _, errors = run(program=("-c", program))
    assert status == 0 and b"RuntimeWarning: invalid value" in errors
