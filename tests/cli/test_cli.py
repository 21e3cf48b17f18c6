"""The command line: what can be asked for, what comes out, and one line for everything that cannot be."""

import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import typing

import numpy as np
import pytest

import minivit.cli.commands
import minivit.cli.given
from minivit import __version__
from minivit.cli import main
from minivit.config import ViTConfig
from minivit.data.idx import write_idx
from minivit.train.config import TrainConfig
from minivit.train.evaluate import probabilities
from minivit.train.recipes import DEFAULT, RECIPES
from tests.tools import tiny

COMMANDS = (
    "train",
    "eval",
    "predict",
    "embed",
    "info",
    "convert",
    "gradcheck",
    "explain",
    "walk",
    "play",
    "attend",
    "data",
)
COMPUTING = ("train", "eval", "predict", "embed", "attend")
LAST_LINE = re.compile(r"test accuracy \d+\.\d\d % \(\d+ of 20\), \d+ parameters, trained in \d+\.\d s")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    arguments = tiny.flags(epochs=60, batch_size=18, learning_rate=0.01, augment=0)
    assert main(["train", "--data", data, "--out", str(folder), *arguments]) == 0
    return folder


@pytest.fixture
def refused(capsys):
    """Run a command that must fail: one line on stderr, which is returned."""

    def run(*arguments, status=2):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == status
        errors = capsys.readouterr().err
        assert errors.startswith("minivit: ") and errors.endswith("\n") and errors.count("\n") == 1, errors
        return errors

    return run


@pytest.fixture
def settings_of(monkeypatch):
    """What `minivit train ARGUMENTS` would train with."""

    def parse(*arguments):
        found = []

        def stop(data, out, model, config, device, overwrite, init, *, say, bar, **more):
            found.extend((data, out, model, config, device, overwrite, init))
            raise KeyboardInterrupt

        monkeypatch.setattr(minivit.cli.commands, "start_run", stop)
        assert main(["train", *arguments]) == 130
        return found

    return parse


# Asking


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0 and f"usage: minivit {command}" in out
    assert ("--device {cpu,gpu}" in out) == (command in COMPUTING)


def test_all_commands_are_listed(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert tuple(re.findall(r"^    (\w+)", out, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("arguments", [[], ["learn"], ["train", "--speed", "9"], ["predict", "run"]])
def test_what_is_no_command_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2 and "minivit" in capsys.readouterr().err


@pytest.mark.parametrize("config", [ViTConfig, TrainConfig])
def test_every_setting_is_a_flag(config, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    words = re.split(r"[\s,]+", capsys.readouterr().out)
    for field in dataclasses.fields(config):
        flag = "--" + field.name.replace("_", "-")
        assert (flag in words) == (not field.metadata["from_data"] or field.name == "image_size"), field.name


def test_a_flag_sets_its_field_and_no_other(settings_of):
    values = {int: 3, float: 0.25, bool: False}
    for config, place in ((ViTConfig, 2), (TrainConfig, 3)):
        for field in dataclasses.fields(config):
            if field.metadata["from_data"]:
                continue
            hint = typing.get_type_hints(config)[field.name]
            kind = next((one for one in typing.get_args(hint) if one in values), hint)
            value = values.get(kind, field.metadata["choices"] and field.metadata["choices"][-1])
            flag = field.name.replace("_", "-")
            found = settings_of(*([f"--no-{flag}"] if kind is bool else [f"--{flag}", str(value)]))
            given = found[2], dataclasses.asdict(found[3])
            assert given[place - 2][field.name] == value, field.name
            model, train = ({field.name: value} if place == at else {} for at in (2, 3))
            others = {**dataclasses.asdict(TrainConfig(**DEFAULT.train)), **train}
            assert given == ({**DEFAULT.model, **model}, others)


def test_a_recipe_is_overridden_by_flags(settings_of):
    data, out, model, config, device, overwrite, init = settings_of("--recipe", "best", "--dim", "32", "--epochs", "3")
    assert (data, out, device, overwrite, init) == ("mnist5k", None, "cpu", False, None)
    assert model == {**RECIPES["best"].model, "dim": 32}
    assert config == TrainConfig(**{**RECIPES["best"].train, "epochs": 3})


def test_python_m_minivit_is_the_command():
    status, out, _ = tiny.minivit("--version")
    assert (status, out) == (0, f"minivit {__version__}\n")


# Training


def test_without_a_terminal_a_line_is_printed_for_every_epoch(data, tmp_path, capsys):
    arguments = tiny.flags(epochs=3, batch_size=18, log_every=1)
    assert main(["train", "--data", data, "--out", str(tmp_path / "run"), *arguments]) == 0
    out, errors = capsys.readouterr()
    lines = out.splitlines()
    assert errors == ""
    assert re.fullmatch(
        r"run .*run: \d+ parameters, 3 epochs of 54 images \(6 more for validation\), "
        r"grey 8 x 8 in 4 patches of 4 x 4, \d+ threads",
        lines[0],
    )
    line = (
        r"epoch (\d)/3: loss \d\.\d+ accuracy [\d.]+ %, valid loss \d\.\d+ accuracy [\d.]+ %, \d+ images/s, \d+ s left"
    )
    assert [re.fullmatch(line, text).group(1) for text in lines[2:5]] == ["1", "2", "3"]
    assert lines[1].startswith("augmentation: photos of strength 0.35 for 3 epochs, ")
    assert lines[5] == "" and "next:" in lines[6]
    assert [text.split()[:2] for text in lines[7:10]] == [["minivit", name] for name in ("eval", "predict", "info")]
    assert lines[10].startswith("training: ") and LAST_LINE.fullmatch(lines[11]) and len(lines) == 12
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 9


def test_the_last_line_is_the_result(trained, capsys):
    assert main(["train", "--resume", str(trained)]) == 0
    result = json.loads((trained / "result.json").read_text())
    out = capsys.readouterr().out
    assert out.startswith(f"run {trained} has ended already\n")
    assert out.splitlines()[-1] == (
        f"test accuracy {100 * result['test_accuracy']:.2f} % ({result['test_correct']} of 20), "
        f"{result['parameters']} parameters, trained in {result['train_seconds']:.1f} s"
    )


@pytest.mark.parametrize("reason, note", [("", ""), ("pip install it", " (pip install it)")])
def test_a_run_ends_well_without_its_pictures(reason, note, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(minivit.cli.commands, "draw_pictures", lambda folder, mistakes: reason)
    assert main(["train", "--resume", str(trained)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == f"the run is in {trained}{note}; next:" and LAST_LINE.fullmatch(lines[-1])


def test_a_notebooks_backend_does_not_cost_the_result(data, tmp_path, monkeypatch):
    """Jupyter sets MPLBACKEND for `!minivit train`, and this Python may not have what it names."""
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    status, out, errors = tiny.minivit("train", "--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=1))
    assert (status, errors) == (0, "") and LAST_LINE.fullmatch(out.splitlines()[-1])
    assert "pictures cannot be drawn" in out or (tmp_path / "run" / "curves.png").exists() or "pip install" in out


def test_a_name_with_spaces_can_be_pasted(data, tmp_path, capsys):
    assert main(["train", "--data", data, "--out", str(tmp_path / "a b"), *tiny.flags(epochs=1)]) == 0
    assert f"  minivit eval '{tmp_path / 'a b'}' " in capsys.readouterr().out


WEIRD = {
    ("--epochs", "0"): "epochs must be at least 1, not 0",
    ("--epochs", "-3"): "epochs must be at least 1, not -3",
    ("--batch-size", "0"): "batch_size must be at least 1, not 0",
    ("--threads", "0"): "threads must be at least 1, not 0",
    ("--save-every", "0"): "save_every must be at least 1, not 0",
    ("--log-every", "-1"): "log_every must be at least 1, not -1",
    ("--learning-rate", "0"): "learning_rate must be positive",
    ("--learning-rate", "-1"): "learning_rate must be positive",
    ("--learning-rate", "nan"): "learning_rate must be finite and at most 1e+30, not nan",
    ("--learning-rate", "inf"): "learning_rate must be finite and at most 1e+30, not inf",
    ("--clip-norm", "nan"): "clip_norm must be finite and at most 1e+30, not nan",
    ("--clip-norm", "1e300"): "clip_norm must be finite and at most 1e+30, not 1e+300",
    ("--weight-decay", "-1"): "weight_decay must be at least 0, not -1.0",
    ("--weight-decay", "nan"): "weight_decay must be finite and at most 1e+30, not nan",
    ("--warmup", "1.5"): r"warmup_fraction must lie in [0, 1), not 1.5",
    ("--label-smoothing", "1"): r"label_smoothing must lie in [0, 1), not 1.0",
    ("--beta2", "1"): r"beta2 must lie in [0, 1), not 1.0",
    ("--ema", "nan"): "ema must be finite and at most 1e+30, not nan",
    ("--augment", "-1"): "augment must lie in 0..8, not -1.0",
    ("--augment", "1e300"): "augment must be finite and at most 1e+30, not 1e+300",
    ("--seed", "-1"): "seed must be at least 0, not -1",
    ("--validation", "-1"): "validation must be at least 0, not -1",
    ("--validation", "60"): "a validation split of 60 images of 60: expected 0 to 59",
    ("--dropout", "1"): r"dropout is a probability and must lie in [0, 1), not 1.0",
    ("--drop-path", "nan"): "drop_path must be finite and at most 1e+30, not nan",
    ("--norm-eps", "0"): "norm_eps must be positive, not 0.0",
    ("--patch-size", "3"): "patch_size 3 does not divide image_size 8: choose a patch size",
    ("--patch-size", "0"): "patch_size must be at least 1, not 0",
    ("--heads", "3"): "heads 3 must divide dim 8",
    ("--depth", "0"): "depth must be at least 1, not 0",
    ("--dim", "100000000"): "not enough memory",
    ("--dim", "1000000000000"): "not enough memory",
    ("--mlp-dim", "9" * 30): "not enough memory",
    ("--depth", "1000000000"): "depth must be at most 10000, not 1000000000",
}


@pytest.mark.parametrize("flag", WEIRD, ids=" ".join)
def test_weird_settings_are_refused_in_one_line(flag, data, tmp_path, refused):
    assert WEIRD[flag] in refused("train", "--data", data, "--out", tmp_path / "run", *tiny.flags(epochs=1), *flag)


@pytest.mark.parametrize("flag", [("--batch-size", "9" * 20), ("--threads", "100000"), ("--seed", "9" * 30)], ids=str)
def test_large_settings_are_fine(flag, data, tmp_path):
    assert main(["train", "--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=1), *flag]) == 0


def test_what_would_be_ignored_beside_resume_is_refused_by_name(trained, tmp_path, refused):
    folder = shutil.copytree(trained, tmp_path / "run")
    for more in (["--out", "x"], ["--overwrite"], ["--init", "pretrained"], ["--overfit-batch"], ["--recipe", "quick"]):
        assert f"--resume has no use for {more[0]}: leave out" in refused("train", "--resume", folder, *more)
    line = refused("train", "--resume", folder, "--epochs", "90", "--batch-size", "18")
    assert "has ended, and in it epochs is 60, not 90" in line and f"minivit train --init {folder} --out NEW" in line


def test_a_run_goes_on_elsewhere(data, tmp_path, refused, capsys):
    """On another number of threads and with its data in another place, and with what it said itself."""
    shutil.copytree(data, tmp_path / "data")
    flags = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), *tiny.flags(epochs=20, batch_size=18)]
    with tiny.start("train", *flags, "--threads", "1") as process:
        assert tiny.trains(process)
        process.send_signal(signal.SIGINT)
        errors = process.communicate()[1]
    (tmp_path / "data").rename(tmp_path / "moved")
    words = shlex.split(errors.split("minivit ")[-1])
    line = refused(*words)
    again = shlex.split(line.split("; minivit ")[1].split(" says where")[0])
    assert again[-2:] == ["--data", "FOLDER"]
    assert main([*again[:-1], str(tmp_path / "moved"), "--threads", "2", "--save-every", "1"]) == 0
    assert LAST_LINE.fullmatch(capsys.readouterr().out.splitlines()[-1])
    assert main(["train", "--data", data, "--out", str(tmp_path / "whole"), *flags[4:]]) == 0
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert models[0] == models[1]


def test_what_would_be_ignored_beside_the_sanity_check_is_named(data, tmp_path, refused, capsys):
    check = ["train", "--overfit-batch", "--data", data, *tiny.flags(dim=32, mlp_dim=32, learning_rate=0.01)]
    for more in (["--out", tmp_path / "run"], ["--overwrite"], ["--init", "pretrained"]):
        assert f"--overfit-batch has no use for {more[0]}: leave out" in refused(*check, *more)
    capsys.readouterr()
    assert main([*check, "--epochs", "3", "--ema", "0.9"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "note: this check makes no use of epochs, ema"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["info", "train"])
def test_output_for_which_there_is_no_room(command, trained, data, tmp_path):
    arguments = {
        "info": [str(trained)],
        "train": ["--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=100000, batch_size=18)],
    }
    with open("/dev/full", "w") as full, tiny.start(command, *arguments[command], stdout=full) as process:
        errors = process.stderr.read()
        assert process.wait(60) == (2 if command == "info" else 130)
    assert errors.startswith("minivit: ") and errors.count("\n") == 1 and "No space left on device" in errors
    if command == "train":
        assert "everything is saved; resume it with: minivit train --resume" in errors


def test_bad_input_is_refused_in_one_line(trained, data, tmp_path, refused):
    assert "no data called" in refused("train", "--data", tmp_path / "nothing")
    assert "holds no data set: expected a folder of pictures" in refused("train", "--data", tmp_path)
    assert "holds a run already" in refused("train", "--data", data, "--out", trained, *tiny.flags())
    assert "no config.json" in refused("train", "--resume", tmp_path)
    assert "nothing: no such file or folder" in refused("eval", tmp_path / "nothing")
    assert "not a whole safetensors file" in refused("info", __file__)
    assert "threads must be at least 1" in refused("eval", trained, "--threads", "0")
    assert "test_cli.py" in refused("train", "--data", data, "--out", f"{__file__}/run", *tiny.flags(epochs=1))
    four = tiny.write_data(tmp_path / "four", shape=(4, 8, 8))
    assert "do not fit this model: expected (batch, 1, 8, 8)" in refused("eval", trained, "--data", four)
    more = tiny.write_data(tmp_path / "more", classes=5)
    assert "the data hold the label 3, which is no class of this model" in refused("eval", trained, "--data", more)


def test_a_loss_that_is_not_finite_fails(data, tmp_path, refused):
    arguments = tiny.flags(epochs=9, learning_rate=1e29)
    line = refused("train", "--data", data, "--out", tmp_path / "run", *arguments, status=1)
    assert "is not finite" in line or "produced the first of them" in line
    assert "start again with a lower --learning-rate" in line


def test_the_sanity_check(data, tmp_path, monkeypatch, capsys, refused):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--overfit-batch", "--data", data, *tiny.flags(dim=32, mlp_dim=32, learning_rate=0.01)]
    assert main(arguments) == 0
    assert "60 images memorised in" in capsys.readouterr().out.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("minivit.run.overfit.OVERFIT_STEPS", 2)
    assert "Look at: the learning rate" in refused(*arguments, status=1)


# With a trained model


def test_eval(trained, data, capsys):
    assert main(["eval", str(trained)]) == 0
    out, errors = capsys.readouterr()
    lines, result = out.splitlines(), json.loads((trained / "result.json").read_text())
    assert errors == ""
    assert lines[0].startswith("class  images  recall  precision") and lines[5].startswith("true \\ predicted")
    correct = result["test_correct"]
    assert lines[-1] == (
        f"{data} test: accuracy {100 * correct / 20:.2f} % ({correct} of 20), loss {result['test_loss']:.4f}"
    )
    assert sum(int(lines[6 + k].split()[1 + k].replace(".", "0")) for k in range(3)) == correct


def test_the_copies_are_those_of_the_run_or_those_asked_for(trained, tmp_path, monkeypatch, capsys):
    """The run's setting holds for eval and predict; a flag overrides it."""
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    drawing = np.full((30, 30), 255, "uint8")
    drawing[5:25, 14:17] = 0
    image.fromarray(drawing).save(tmp_path / "digit.png")
    folder = shutil.copytree(trained, tmp_path / "run")
    settings = json.loads((folder / "config.json").read_text())
    settings["train"].update(tta=3, augment=1.0)
    (folder / "config.json").write_text(json.dumps(settings))
    asked = []

    def counting(model, images, pool, tta=0, *kind):
        asked.append(tta)
        return probabilities(model, images, pool, tta, *kind)

    monkeypatch.setattr("minivit.train.evaluate.probabilities", counting)
    monkeypatch.setattr("minivit.cli.looking.probabilities", counting)
    printed = []
    for flags in ([], ["--tta", "0"], ["--views", "5"]):
        assert main(["eval", str(folder), *flags]) == 0
        assert main(["predict", str(folder), str(tmp_path / "digit.png"), *flags]) == 0
        printed.append(capsys.readouterr().out)
    assert asked == [3, 3, 0, 0, 5, 5] and len(set(printed)) == 3
    with pytest.raises(SystemExit):
        main(["eval", str(folder), "--tta", "-1"])
    assert "must lie in 0..1000, or be the word off, not -1" in capsys.readouterr().err
    assert "and 5 augmented copies" in printed[2] and "augmented copies" not in printed[1]


@pytest.mark.parametrize("off", [{"augmentation": "none"}, {"augment": None, "mirror": False}, {"augment": 0.0}])
def test_without_augmentation_there_are_no_copies(off, trained, tmp_path, capsys):
    folder = shutil.copytree(trained, tmp_path / "run")
    settings = json.loads((folder / "config.json").read_text())
    settings["train"].update(off)
    (folder / "config.json").write_text(json.dumps(settings))
    assert main(["eval", str(folder), "--tta", "5"]) == 0
    out, errors = capsys.readouterr()
    assert "augmented copies" not in out
    assert "no image is moved or cropped in training, so there are no augmented copies to average over" in errors


def test_the_copies_are_as_strong_as_those_of_the_training(trained, tmp_path, monkeypatch):
    folder, asked = shutil.copytree(trained, tmp_path / "run"), []
    monkeypatch.setattr(
        "minivit.train.evaluate.probabilities", lambda *given: asked.append(given[3:]) or probabilities(*given)
    )
    for strength in (2.5, "auto"):
        settings = json.loads((folder / "config.json").read_text())
        settings["train"].update(augmentation="photos", mirror=True, augment=strength)
        (folder / "config.json").write_text(json.dumps(settings))
        assert main(["eval", str(folder), "--tta", "2"]) == 0
    assert asked == [(2, "photos", True, 2.5), (2, "photos", True, 1.0)]


def test_a_run_with_tta_says_what_it_gives_without(data, tmp_path, capsys):
    flags = tiny.flags(epochs=2, tta=3)
    assert main(["train", "--data", data, "--out", str(tmp_path / "run"), *flags]) == 0
    result, lines = json.loads((tmp_path / "run" / "result.json").read_text()), capsys.readouterr().out.splitlines()
    assert result["tta"] == 3
    assert lines[-2] == (
        "test-time augmentation: averaged over each image and 3 augmented copies of it; "
        f"without it the test accuracy is {100 * result['plain_accuracy']:.2f} %"
    )
    for copies, key in (("3", "test_accuracy"), ("0", "plain_accuracy")):
        assert main(["eval", str(tmp_path / "run"), "--tta", copies]) == 0
        assert f"accuracy {100 * result[key]:.2f} %" in capsys.readouterr().out


def test_eval_draws_the_confusion_matrix(trained, tmp_path, monkeypatch, refused):
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    assert main(["eval", str(trained), "--out", str(tmp_path / "confusion.png")]) == 0
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert "there is no folder" in refused("eval", trained, "--out", tmp_path / "no" / "folder.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # importing it fails
    assert "pip install minivit[viz]" in refused("eval", trained, "--out", tmp_path / "other.png")


@pytest.mark.parametrize("part, images", [("test", 20), ("valid", 6), ("train", 54)])
def test_eval_of_the_runs_own_data(part, images, trained, capsys):
    """Nothing to warn of: the training images were asked for."""
    assert main(["eval", str(trained), "--split", part]) == 0
    out, errors = capsys.readouterr()
    assert f" {part}: accuracy " in out and f"of {images})" in out and errors == ""


def test_eval_warns_of_images_that_were_trained_on(trained, data, tmp_path, capsys):
    copy = shutil.copytree(data, tmp_path / "copy")
    assert main(["eval", str(trained), "--data", str(copy), "--split", "train"]) == 0
    assert capsys.readouterr().err == "warning: 54 of these 54 images were in the run's training set\n"


def test_eval_reads_only_what_it_needs(trained, data, tmp_path, capsys, refused):
    """The training files need not be there, and are not split."""
    folder = tmp_path / "test"
    folder.mkdir()
    for path in pathlib.Path(data).glob("t10k-*"):
        shutil.copy(path, folder)
    assert main(["eval", str(trained), "--data", str(folder)]) == 0
    assert "test: accuracy" in capsys.readouterr().out
    assert "no file train-images-idx3-ubyte in" in refused("eval", trained, "--data", folder, "--split", "valid")


def test_eval_of_fewer_images_than_the_run_held_out(data, tmp_path, capsys):
    assert main(["train", "--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=1, validation=30)]) == 0
    small = tiny.write_data(tmp_path / "small", 20, 10)
    assert main(["eval", str(tmp_path / "run"), "--data", small]) == 0
    assert "of 10)" in capsys.readouterr().out


def test_eval_warns_of_other_data_that_overlap(trained, data, tmp_path, capsys):
    other = tiny.write_data(tmp_path / "other", 30, 10)
    images, labels = tiny.images(60)
    write_idx(
        tmp_path / "other" / "t10k-images-idx3-ubyte", np.concatenate([images[:7, 0], tiny.images(9, seed=5)[0][:, 0]])
    )
    write_idx(tmp_path / "other" / "t10k-labels-idx1-ubyte", np.concatenate([labels[:7], labels[:9]]).astype("uint8"))
    assert main(["eval", str(trained), "--data", other]) == 0
    warning = re.fullmatch(r"warning: (\d) of these 16 images were in .*\n", capsys.readouterr().err)
    assert 1 <= int(warning.group(1)) <= 7  # but for those that the run held out


def test_eval_says_that_it_cannot_compare(trained, data, tmp_path, capsys):
    shutil.copy(trained / "model.safetensors", tmp_path / "model.safetensors")
    assert main(["eval", str(tmp_path), "--data", data]) == 0
    assert capsys.readouterr().err == "warning: the run's training data are not here to compare with these\n"


def test_eval_without_validation_images(data, tmp_path, refused):
    arguments = tiny.flags(epochs=1, validation=0)
    assert main(["train", "--data", data, "--out", str(tmp_path / "run"), *arguments]) == 0
    assert "held no images out for validation: choose another --split" in refused(
        "eval", tmp_path / "run", "--split", "valid"
    )


def test_predict(trained, tmp_path, capsys, refused):
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    pixels = np.full((40, 30), 255, "uint8")
    pixels[10:30, 12:18] = 20
    names = [str(tmp_path / name) for name in ("one.png", "two dü.jpg")]
    for name in names:
        image.fromarray(pixels).save(name)
    assert main(["predict", str(trained), *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, line in zip(names, lines, strict=True):
        guesses = re.fullmatch(re.escape(name) + r": (\d) \((.+) %\), then (\d) \((.+) %\), (\d) \((.+) %\)", line)
        assert {guesses.group(k) for k in (1, 3, 5)} == {"0", "1", "2"}
        chances = [float(guesses.group(k)) for k in (2, 4, 6)]
        assert chances == sorted(chances, reverse=True) and sum(chances) == pytest.approx(100, abs=0.2)
    assert "cannot read" in refused("predict", trained, tmp_path / "missing.png")
    assert "cannot read" in refused("predict", trained, __file__)
    image.new("RGB", (30, 30), "white").save(names[0])
    assert "no digit" in refused("predict", "pretrained", names[0])


def test_a_picture_that_cannot_be_read_costs_one_line(trained, tmp_path, capsys, refused):
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs pillow")
    pixels = np.full((40, 30), 255, "uint8")
    for name in ("blank", "one", "broken", "other"):
        if name in ("one", "other"):
            pixels[10:30, 12:18] = 20
        image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "one.png").read_bytes()[:40])
    names = [str(tmp_path / name) for name in ("broken.png", "one.png", "none.png", "other.png")]
    assert main(["predict", str(trained), *names]) == 2
    out, errors = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [names[1], names[3]]
    assert [line.split(names[0][:-10])[1].split(": ")[0] for line in errors.splitlines()] == ["broken.png", "none.png"]
    assert errors.count("minivit: cannot read") == 2


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_patterns_are_expanded_where_the_shell_does_not(platform, tmp_path, monkeypatch):
    for name in ("b.png", "a.png", "[c].png", "d.jpg"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    given = ["d.jpg", "[c].png", "*.png", "x*.png"]
    expected = ["d.jpg", "[c].png", "[c].png", "a.png", "b.png", "x*.png"] if platform == "win32" else given
    assert list(minivit.cli.given.expanded(given)) == expected


def test_info(trained, capsys):
    assert main(["info", str(trained / "model.safetensors")]) == 0
    out = capsys.readouterr().out
    numbers = [int(line.split()[-1].replace(",", "")) for line in out.splitlines() if re.match(r"[\w.]+ +\(\d", line)]
    total = json.loads((trained / "result.json").read_text())["parameters"]
    assert len(numbers) == 31 and sum(numbers) == total
    assert re.search(r"^blocks\.1\.attn\.qkv\.weight +\(8, 24\) +192$", out, re.MULTILINE)
    assert re.search(rf"^total +{total:,} +\({4 * total:,} bytes, float32\)$", out, re.MULTILINE)
    assert re.search(r"^patch_size +4$", out, re.MULTILINE) and "seed 0: test accuracy" in out.splitlines()[-1]


@pytest.mark.parametrize("command", COMPUTING)
def test_a_gpu_needs_cupy(command, trained, data, tmp_path, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # import cupy fails
    run = {
        "train": ["--data", data, "--out", tmp_path / "run", *tiny.flags()],
        "eval": [trained],
        "predict": [trained, "digit.png"],
        "embed": [trained, "digit.png", "--out", tmp_path / "features.npz"],
        "attend": [trained, "digit.png"],
    }
    line = refused(command, "--device", "gpu", *run[command])
    assert "needs CuPy" in line and "minivit[gpu12]" in line and "minivit[gpu13]" in line
    assert not (tmp_path / "run").exists()


# Ends


def test_signals_are_put_back(trained, monkeypatch):
    def react(*arguments):
        raise AssertionError

    before = [signal.signal(number, react) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        assert main(["info", str(trained)]) == 0
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == [react, react]
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGTERM to catch")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["eval", "train"])
def test_a_signal_ends_any_command_in_one_line(command, number, trained, data, tmp_path, refused, monkeypatch):
    """Before there is a run."""
    load = {"train": "minivit.run.start.load", "eval": "minivit.run.load.load_parts"}[command]
    monkeypatch.setattr(load, lambda *arguments: signal.raise_signal(number))
    arguments = [trained] if command == "eval" else ["--data", data, "--out", tmp_path / "run"]
    assert refused(command, *arguments, status=128 + number) == "minivit: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end in another way on Windows")
def test_output_that_nobody_reads(data, tmp_path):
    command = ["train", "--data", data, "--out", str(tmp_path / "run"), *tiny.flags(epochs=100000, batch_size=18)]
    with tiny.start(*command) as process:
        assert process.stdout.readline().startswith("run ")
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 130
    why = r"\(nobody reads what it prints\), everything is saved; resume it with: "
    assert re.match(rf"minivit: stopped after step \d+ of 300000 {why}", errors)
    assert errors.count("\n") == 1 and (tmp_path / "run" / "state.safetensors").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end in another way on Windows")
def test_a_list_of_which_only_the_top_is_read():
    with tiny.start("explain", stdout=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == ("", 0)
