"""A run's folder: what may be replaced in it, and when."""

import json
import os
import shutil
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from minivit import ViT
from minivit.errors import ConfigError, TrainingError
from minivit.run import start_run
from minivit.run.folder import PICTURES, PNG
from minivit.train import TrainConfig, Trainer
from tests.tools.runs import ALL, contents, same_model, start, steps_of


def test_a_folder_that_holds_a_run_is_refused(data, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FileExistsError, match="holds a run already.*--out.*--resume.*--overwrite"):
        start(data, folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_overwriting_leaves_nothing_of_the_run_before(data, tmp_path, whole, stopped):
    folder = shutil.copytree(whole, tmp_path / "old")
    shutil.copy(stopped / "state.safetensors", folder)
    for name in PICTURES:
        (folder / name).write_bytes(PNG + b"of the run before")
    (folder / ".state.safetensors.0123456789abcdef").write_bytes(b"of a killed process")
    (folder / "notes.txt").write_text("mine")
    start(data, folder, overwrite=True, epochs=1, seed=1)
    assert steps_of(folder) == [3] and not same_model(folder, whole)
    assert {path.name for path in folder.iterdir()} == {*ALL, "notes.txt"}


@pytest.mark.parametrize("damage", [b"", b"of another run", b"\0" * 100], ids=["empty", "text", "zeros"])
@pytest.mark.parametrize("name", ["state.safetensors", "model.safetensors"])
def test_what_is_damaged_beside_the_settings_of_a_run_is_the_runs(name, damage, data, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / name).write_bytes(damage)
    start(data, folder, overwrite=True)
    assert same_model(folder, whole) and {path.name for path in folder.iterdir()} == ALL


def hugging_face(folder):
    (folder / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"], "hidden_size": 8}))
    save_file({"vit.embeddings.cls_token": np.ones((1, 1, 8), "float32")}, folder / "model.safetensors")


def link(folder):
    (folder / "elsewhere").write_bytes(PNG)
    (folder / "curves.png").symlink_to("elsewhere")


FOREIGN = {  # what makes it, and the files that are to be named
    "a log and a picture": (
        lambda folder: [(folder / name).write_text("mine\n") for name in ("metrics.jsonl", "curves.png")],
        "metrics.jsonl and curves.png",
    ),
    "another program's log": (lambda f: (f / "metrics.jsonl").write_text('{"step": 1, "lr": 2}\n'), "metrics.jsonl"),
    "a model of Hugging Face": (hugging_face, "config.json and model.safetensors"),
    "a state without its run": (lambda folder: (folder / "state.safetensors").write_bytes(b"x"), "state.safetensors"),
    "a result of something else": (lambda f: (f / "result.json").write_text('{"accuracy": 1}'), "result.json"),
    "a picture without a run": (lambda folder: (folder / "confusion.png").write_bytes(PNG), "confusion.png"),
    "a folder": (lambda folder: (folder / "model.safetensors").mkdir(), "model.safetensors"),
    "a pipe": (lambda folder: os.mkfifo(folder / "config.json"), "config.json"),
    "a link": (link, "curves.png"),
    "a link to nowhere": (lambda folder: (folder / "config.json").symlink_to("nowhere"), "config.json"),
    "a huge file": (
        lambda folder: os.truncate(os.open(folder / "config.json", os.O_CREAT | os.O_RDWR), 3 << 30),
        "config.json",
    ),
}


def listing(folder):
    """Names, and what a look at them tells."""
    return {
        path.name: (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.iterdir()
    }


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders, and links for some users only")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("beside_a_run", [False, True])
@pytest.mark.parametrize("kind", FOREIGN)
def test_files_that_no_run_wrote_are_named_and_left_alone(kind, beside_a_run, overwrite, data, tmp_path, whole):
    """With --overwrite, too. Beside a run, what is damaged or a picture counts as the run's."""
    make, names = FOREIGN[kind]
    folder = tmp_path / "run"
    folder.mkdir()
    make(folder)
    if beside_a_run:
        for path in whole.iterdir():
            if not os.path.lexists(folder / path.name):
                shutil.copy(path, folder)
        if kind in ("a state without its run", "a picture without a run"):
            return
    before = listing(folder)
    with pytest.raises(FileExistsError) as caught:
        start(data, folder, overwrite)
    message = f"{folder} holds {names}, which no run of minivit wrote: choose another --out, or move what is there away"
    if "config.json" not in names or not beside_a_run:
        assert str(caught.value) == message
    assert names in str(caught.value) and "\n" not in str(caught.value)
    assert listing(folder) == before


def test_a_folder_that_may_not_be_written_to_is_named_before_anything_is_read(data, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=f"{tmp_path}: this folder may not be written to: choose another --out"):
        start("no data", tmp_path)


def test_what_a_run_left_without_its_settings_is_replaced_only_if_asked(data, tmp_path, whole, stopped):
    folder = tmp_path / "rest"
    folder.mkdir()
    shutil.copy(stopped / "state.safetensors", folder)
    with pytest.raises(FileExistsError, match="holds state.safetensors of a run already.*--overwrite"):
        start(data, folder)
    assert same_model(start(data, folder, overwrite=True).folder, whole)


# Nothing is deleted before the new run has done a step


def not_finite(monkeypatch):
    def spoiled(*arguments, **more):
        model = ViT(*arguments, **more)
        model.params.flat *= 1e38
        return model

    monkeypatch.setattr("minivit.run.start.ViT", spoiled)
    return {}, TrainingError, "at step 1, learning rate .* produced the first of them; nothing in .* was changed"


def not_finite_on_a_gpu(monkeypatch):
    """Where the loss of a step is not looked at, but the state is, when it is saved."""

    def spoil(self, images, labels, update=Trainer.update):
        result = update(self, images, labels)
        self.model.params.flat[7] = np.inf
        return result

    monkeypatch.setattr(Trainer, "update", spoil)
    return {}, TrainingError, "params is not finite after step 1"


def no_memory(monkeypatch):
    def fail(*arguments, **more):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr("minivit.train.trainer.loss_and_grads", fail)
    return {}, MemoryError, "allocate"


def no_memory_for_the_model(monkeypatch):
    def fail(*arguments, **more):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr("minivit.run.start.ViT", fail)
    return {}, MemoryError, "allocate"


def full_disk(monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    return {}, OSError, "No space left on device; nothing in it was changed"


def interrupted(monkeypatch):
    def stop(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("minivit.train.trainer.loss_and_grads", stop)
    return {}, KeyboardInterrupt, None


def wrong_settings(monkeypatch):
    return {"validation": 60}, ValueError, "a validation split of 60 images of 60"


def test_what_appears_during_the_first_step_is_left_alone(data, tmp_path, whole, at_step):
    folder = shutil.copytree(whole, tmp_path / "run")
    at_step(1, lambda: (folder / "curves.png").write_text("mine"))
    with pytest.raises(FileExistsError, match="holds curves.png, which no run of minivit wrote: choose"):
        start(data, folder, overwrite=True, seed=1)
    (folder / "curves.png").unlink()
    assert contents(folder) == contents(whole)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
@pytest.mark.parametrize(
    "trouble",
    [not_finite, not_finite_on_a_gpu, no_memory, no_memory_for_the_model, full_disk, interrupted, wrong_settings],
)
@pytest.mark.parametrize("old", ["whole", "stopped"])
def test_a_run_that_cannot_start_leaves_the_one_it_was_to_replace(old, trouble, data, request, tmp_path, monkeypatch):
    folder = shutil.copytree(request.getfixturevalue(old), tmp_path / "old")
    before = contents(folder)
    settings, error, message = trouble(monkeypatch)
    with pytest.raises(error, match=message):
        start(data, folder, overwrite=True, **settings)
    assert contents(folder) == before


def test_the_run_that_is_replaced_cannot_be_the_beginning(data, tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    before = contents(folder)
    for init in (folder, folder / "model.safetensors"):
        with pytest.raises(ConfigError, match="is in the folder that the new run would replace: choose another --out"):
            start_run(data, str(folder), {}, TrainConfig(epochs=1, threads=1), overwrite=True, init=str(init))
    assert contents(folder) == before
