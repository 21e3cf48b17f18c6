"""Commands given by mistake: an empty name, a picture that would overwrite what it is not, a number no memory holds."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from minivit import ViT
from minivit.cli import main
from minivit.plotting import FORMATS, new_figure, save_figure
from tests.tools import tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    ViT(tiny.config()).save(path)
    return path


@pytest.fixture
def picture(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="reads a picture")
    pixels = np.full((40, 40), 255, np.uint8)
    pixels[5:35, 18:22] = 0
    path = tmp_path / "one.png"
    image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def refused(capsys):
    """Run a command that must fail: one line on stderr, which is returned, and nothing printed."""

    def run(*arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        out, errors = capsys.readouterr()
        assert errors.startswith("minivit: ") and errors.count("\n") == 1 and not out, (out, errors)
        return errors

    return run


def test_an_empty_name_is_not_a_name_left_out(model, data, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    assert 'no data called ""' in refused("train", "--data", "", "--out", "run", *tiny.flags(epochs=1))
    assert 'no data called ""' in refused("eval", model, "--data", "")
    assert "is a folder, expected the name of a picture" in refused("eval", model, "--data", data, "--out", "")
    assert "is a folder, expected the name of a picture" in refused("gradcheck", "--op", "gelu", "--plot", "")
    assert "no use for --out" in refused("train", "--overfit-batch", "--data", data, "--out", "")
    assert "no use for --init" in refused("train", "--overfit-batch", "--data", data, "--init", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.foo", "x.tar.gz", "x.pgf", "config.json", "model.safetensors"])
@pytest.mark.parametrize("command", ["eval", "attend", "gradcheck"])
def test_a_picture_of_no_known_kind_is_refused_before_anything_is_computed(
    command, name, model, data, picture, tmp_path, refused
):
    path = tmp_path / name
    arguments = {
        "eval": ("eval", model, "--data", data, "--out", path),
        "attend": ("attend", model, picture, "--out", path),
        "gradcheck": ("gradcheck", "--plot", path),
    }[command]
    line = refused(*arguments)
    assert "a picture's name ends in one of png, jpg, " in line and f"not in {path.suffix}" in line
    assert not path.exists()


@pytest.mark.parametrize("command", ["eval", "attend", "gradcheck"])
def test_a_picture_is_not_drawn_over_a_data_set(command, model, data, picture, tmp_path, refused):
    path = Path(shutil.copytree(data, tmp_path / "data")) / "train-images-idx3-ubyte"
    before = path.read_bytes()
    arguments = {
        "eval": ("eval", model, "--data", data, "--out", path),
        "attend": ("attend", model, picture, "--out", path),
        "gradcheck": ("gradcheck", "--plot", path),
    }[command]
    assert "is there, and is no picture: move it away" in refused(*arguments)
    assert path.read_bytes() == before


def test_the_picture_that_is_looked_at_is_not_drawn_over(model, picture, refused):
    before = picture.read_bytes()
    link = picture.with_name("link.png")
    link.symlink_to(picture)
    for out in (picture, link):
        assert "is the picture to look at, and would be lost" in refused("attend", model, picture, "--out", out)
    assert picture.read_bytes() == before


def test_every_format_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="draws pictures")
    for ending in ("", *(f".{known}" for known in FORMATS), ".PNG"):
        for _ in range(2):  # the second replaces the first
            save_figure(new_figure(1, 1), tmp_path / f"x{ending}")
        assert (tmp_path / f"x{ending}").stat().st_size


def test_a_backend_that_matplotlib_does_not_know(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="draws pictures")
    monkeypatch.setenv("MPLBACKEND", "junk")
    status, out, errors = tiny.minivit("gradcheck", "--plot", str(tmp_path / "x.png"))
    assert (status, out, errors.count("\n")) == (2, "", 1), errors
    assert "matplotlib refuses its own settings, see MPLBACKEND" in errors


@pytest.mark.parametrize("copies", ["", "two", "-1", "1001", "1.5"])
def test_a_number_of_copies_that_is_none(copies, model, picture, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", str(model), str(picture), "--tta", copies])
    assert f"must lie in 0..1000, or be the word off, not {copies or 'empty'}" in capsys.readouterr().err


def test_what_is_no_model_is_said(model, picture, tmp_path, refused):
    """A name that is not there, arguments in the wrong order, a file that minivit writes only."""
    assert "none: no such file or folder; minivit train" in refused("info", tmp_path / "none")
    assert "no such file or folder" in refused("predict", tmp_path / "none", picture)
    for command in ("predict", "attend", "info"):
        arguments = [picture, model][: 2 - (command == "info")]
        assert "a picture: name the model first, and then the pictures" in refused(command, *arguments)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x12\x07minivit")
    assert "an ONNX file, which minivit writes and does not read" in refused("info", tmp_path / "model.onnx")
    (tmp_path / "empty").mkdir()
    assert "a folder without pictures" in refused("predict", model, tmp_path / "empty")


def test_home_is_expanded_wherever_a_file_is_named(data, tmp_path, monkeypatch, capsys):
    """Also where the shell leaves it: --out=~/run."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    assert main(["train", "--data", data, "--out=~/run", *tiny.flags(epochs=1)]) == 0
    assert (home / "run" / "model.safetensors").exists()
    assert main(["train", "--resume=~/run"]) == 0 and "has ended already" in capsys.readouterr().out
    assert main(["train", "--data", data, "--init=~/run", "--out=~/again", "--epochs", "1"]) == 0
    assert main(["info", "~/run/model.safetensors"]) == 0
    assert main(["convert", "~/run", "~/timm", "--to", "timm"]) == 0 and (home / "timm" / "config.json").exists()


def test_an_image_size_that_does_not_fit_names_those_that_do(tmp_path, refused):
    from tests.weights import synthetic

    folder = synthetic.write(tmp_path / "vit", synthetic.filled(synthetic.timm_shapes()), synthetic.timm_config())
    errors = refused("convert", folder, tmp_path / "out", "--to", "timm", "--image-size", "10")
    assert "images of 10 pixels are not made of patches of 4: take 8 or 12" in errors


@pytest.mark.parametrize(
    "flags, note",
    [
        (["--muon", "off", "--muon-decay", "0.3"], "--muon-decay has no effect beside --muon off"),
        (["--patch-dropout-until", "0.3"], "--patch-dropout-until has no effect beside --patch-dropout 0"),
        (["--augmentation", "none", "--augment", "3"], "--augment has no effect beside --augmentation none"),
        (["--tta", "4", "--augment", "off"], "no image is moved or cropped in training, so there are no augmented"),
    ],
)
def test_a_flag_without_effect_is_named(data, tmp_path, capsys, flags, note):
    more = [*tiny.flags(), "--epochs", "1", "--threads", "1", "--out", str(tmp_path / "run")]
    assert main(["train", "--data", data, *more, *flags]) == 0
    assert f"note: {note}" in capsys.readouterr().out


def test_a_flag_with_an_effect_is_not_named(data, tmp_path, capsys):
    more = [*tiny.flags(), "--epochs", "1", "--threads", "1", "--out", str(tmp_path / "run")]
    flags = ["--muon-decay", "0.3", "--patch-dropout", "0.3", "--patch-dropout-until", "0.3", "--augment", "2"]
    assert main(["train", "--data", data, *more, *flags, "--tta", "2"]) == 0
    assert "note:" not in capsys.readouterr().out


def test_overwriting_needs_the_name_of_what_is_overwritten(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--data", data, "--overwrite"]) == 2
    assert "say which with --out" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
