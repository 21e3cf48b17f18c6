"""minivit in ranks that MPI starts: the same bytes, and one end for all, whatever happens to one of them.

Every job is a process with a time limit, because ranks whose others have failed wait for ever.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from benchmarks.ranks import main as benchmark
from tests.tools import tiny

pytestmark = pytest.mark.mpi
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
SECONDS = 60  # for a job; it takes two or three
EVERYTHING = {  # that a rank could get wrong, in five steps an epoch
    **tiny.DROPOUTS, "epochs": 2, "batch_size": 11, "validation": 5, "ema": 0.9, "clip_norm": 0.5, "augment": 1.0,
    "pool": "cls", "label_smoothing": 0.1, "seed": 3, "tta": 2, "save_every": 2,
    "patch_dropout": 0.25, "patch_dropout_until": 0.5, "muon": 1e-3,
}  # fmt: skip
TRAIN = """
import os, signal, sys
import minivit.cli.commands, minivit.parallel, minivit.train.trainer
from minivit.cli import main
minivit.parallel.TOKENS_PER_SHARD, minivit.parallel.FLOATS_PER_SHARD = int(os.environ["TOKENS"]), 0
minivit.parallel.FLOATS_FOR_THREADS = 0
minivit.cli.commands.draw_pictures = lambda *given: ""  # which takes longer than all the rest
rank = int(os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")))
step, update = 0, minivit.train.trainer.Trainer.update

def act(self, images, labels):
    global step
    step += 1
    if (rank, step) == (int(os.environ.get("AT_RANK", "-1")), int(os.environ.get("AT_STEP", "4"))):
        exec(os.environ["ACT"], {"self": self, "os": os, "signal": signal})
    return update(self, images, labels)

minivit.train.trainer.Trainer.update = act
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def mpi():
    if importlib.util.find_spec("mpi4py") is None or MPIEXEC is None:
        pytest.skip('there is no mpi4py or no mpiexec: pip install ".[mpi]"')


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of an undisturbed run of one rank."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert train(monkeypatch, 1, data, folder)[0] == 0
    return folder


def job(monkeypatch, ranks, *arguments, tokens=10, meanwhile=None, **environment):
    """Run minivit in so many ranks, in shards of so many tokens: exit status, what was printed, errors, seconds."""
    for name, value in {"TOKENS": tokens, **environment}.items():
        monkeypatch.setenv(name, str(value))
    if ranks > 1:
        more = ["--allow-run-as-root", "--oversubscribe"] if "OMPI" in os.environ.get("MINIVIT_MPI", "") else []
        wrapped = [MPIEXEC, *more, "-n", str(ranks), sys.executable, "-W", "error", "-c", TRAIN, *arguments]
        program = ("-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])")
    else:
        wrapped, program = list(arguments), ("-c", TRAIN)
    begin = time.monotonic()
    with tiny.start(*wrapped, program=program) as process:
        try:
            if meanwhile:
                meanwhile(process)
            out, errors = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    for name in environment:
        monkeypatch.delenv(name)
    return process.returncode, out, errors, time.monotonic() - begin


def train(monkeypatch, ranks, data, out, settings=EVERYTHING, **more):
    return job(monkeypatch, ranks, "train", "--data", data, "--out", str(out), *tiny.flags(**settings), **more)


def model(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def reports(folder):
    """metrics.jsonl without the speed."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [sorted((name, value) for name, value in line.items() if name != "images_per_second") for line in lines]


SHARDS = {2: 40, 6: 10}  # shards of a batch of 11: tokens in a shard of 5 tokens an image


@pytest.mark.parametrize("shards", SHARDS)
def test_the_bytes_are_the_same_for_any_number_of_ranks(shards, data, tmp_path, monkeypatch):
    """Of the model, of the reports but for the speed, and of the test, with everything on."""
    found = {}
    for ranks, threads in ((1, 1), (1, 3), (2, 1), (4, 2)):
        folder = tmp_path / f"{ranks}-{threads}"
        status, out, errors, _ = train(
            monkeypatch, ranks, data, folder, {**EVERYTHING, "threads": threads}, tokens=SHARDS[shards]
        )
        assert (status, errors) == (0, "")
        result = (folder / "result.json").read_text()
        found[ranks, threads] = model(folder), reports(folder), result.split('"train_seconds"')[0].split('"model')[1]
        assert sorted(path.name for path in folder.iterdir() if path.suffix != ".png") == [
            "config.json", "metrics.jsonl", "model.safetensors", "result.json",
        ]  # fmt: skip
        line = out.splitlines()[0]
        assert line.startswith("run ") and out.count("trained in") == 1
        assert (f"{ranks} ranks on 1 machine, threads in each: {threads}" in out) == (ranks > 1)
        idle = "2 of them have no work, since a batch of 11 images is computed in 2 shards: all would have some from "
        assert (f"{idle}--batch-size 17 on" in out) == (ranks == 4 and shards == 2)
    assert len(set(map(str, found.values()))) == 1


@pytest.mark.parametrize("ranks", [1, 4])
def test_a_run_of_two_ranks_is_resumed_by_one_and_by_four(ranks, whole, data, tmp_path, monkeypatch):
    """Ctrl-C in one of them saves once, and ends both."""
    act = "os.kill(os.getpid(), signal.SIGINT)"
    status, out, errors, _ = train(monkeypatch, 2, data, tmp_path / "run", AT_RANK=1, AT_STEP=5, ACT=act)
    assert status == 130
    stopped = [line for line in errors.splitlines() if line.startswith("minivit: ")]
    assert len(stopped) == 1 and "stopped after step 5 of 10, everything is saved; resume it with:" in stopped[0]
    status, out, errors, _ = job(monkeypatch, ranks, "train", "--resume", str(tmp_path / "run"))
    assert (status, errors) == (0, "") and "resumed at step 5 of 10" in out
    assert model(tmp_path / "run") == model(whole)
    assert reports(tmp_path / "run") == reports(whole)
    assert "has ended already" in job(monkeypatch, 2, "train", "--resume", str(tmp_path / "run"))[1]


def test_ctrl_c_at_the_terminal(data, tmp_path, monkeypatch):
    """mpiexec passes it to all ranks."""
    settings = {**EVERYTHING, "epochs": 500, "save_every": 1000}

    def press(process):
        wait_for(tmp_path / "run" / "state.safetensors")
        process.send_signal(signal.SIGINT)

    status, out, errors, _ = train(monkeypatch, 2, data, tmp_path / "run", settings, meanwhile=press)
    assert status == 130 and errors.count("everything is saved") == 1


def wait_for(path):
    until = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("rank, error", [(0, "ValueError('a bug')"), (1, "MinivitError('a mistake')")])
def test_an_error_in_one_rank_ends_all(rank, error, data, tmp_path, monkeypatch):
    act = f"from minivit.errors import MinivitError; raise {error}"
    status, out, errors, seconds = train(monkeypatch, 2, data, tmp_path / "run", AT_RANK=rank, ACT=act)
    begin = "minivit: rank 1 (" if rank else "minivit: a mistake"
    assert status == (1 if "bug" in error else 2)
    assert (begin in errors and "a mistake" in errors) if "mistake" in error else "ValueError: a bug" in errors
    assert errors.count(error.split("'")[1]) == (1 if "mistake" in error else errors.count("a bug"))
    assert seconds < 10 + 5, "the start included"


def test_a_killed_rank_ends_the_job(whole, data, tmp_path, monkeypatch):
    act = "os.kill(os.getpid(), signal.SIGKILL)"
    status, out, errors, seconds = train(monkeypatch, 2, data, tmp_path / "run", AT_RANK=1, ACT=act)
    assert status not in (0, None) and seconds < 10 + 5
    assert resumed_is(whole, tmp_path, monkeypatch)


def resumed_is(whole, tmp_path, monkeypatch):
    """Whether the run, resumed by two ranks, ends as one that was never stopped."""
    assert job(monkeypatch, 2, "train", "--resume", str(tmp_path / "run"))[0] == 0
    return model(tmp_path / "run") == model(whole)


def test_other_parameters_in_one_rank_are_noticed_at_the_next_save(whole, data, tmp_path, monkeypatch):
    """As with other BLAS kernels: all ranks are named, with what they are on."""
    act = "self.model.params.flat[7] += 1e-6"
    status, out, errors, _ = train(monkeypatch, 2, data, tmp_path / "run", AT_RANK=1, ACT=act)
    line = next(line for line in errors.splitlines() if line.startswith("minivit: "))
    assert status == 1 and "after step 4 the ranks have different parameters: " in line
    assert "in rank 0 (" in line and "in rank 1 (" in line and "what was saved before is kept" in line
    assert resumed_is(whole, tmp_path, monkeypatch)


def test_three_ranks_are_refused(data, tmp_path, monkeypatch):
    status, out, errors, _ = train(monkeypatch, 3, data, tmp_path / "run")
    assert (status, out) == (2, "")
    assert errors == "minivit: 3 ranks: a batch is halved, and halved again, so take 2 or 4\n"
    assert not (tmp_path / "run").exists()


def test_other_data_in_one_rank_are_refused(data, tmp_path, monkeypatch):
    other = tiny.write_data(tmp_path / "other", train=62)
    monkeypatch.setenv("OTHER", other)
    code = TRAIN.replace("sys.exit(", "if rank: sys.argv[3] = os.environ['OTHER']\nsys.exit(")
    monkeypatch.setitem(globals(), "TRAIN", code)
    status, out, errors, _ = train(monkeypatch, 2, data, tmp_path / "run")
    assert status == 2 and errors.count("minivit: ") == 1
    assert "minivit: rank 1 (" in errors and " has data_sha256 " in errors and not (tmp_path / "run").exists()


def test_bad_input_is_one_line(tmp_path, monkeypatch):
    status, out, errors, _ = train(monkeypatch, 2, str(tmp_path / "nothing"), tmp_path / "run")
    assert (status, out) == (2, "") and errors.startswith("minivit: ") and errors.count("\n") == 1
    status, out, errors, _ = job(monkeypatch, 2, "train", "--epochs", "few")
    assert (status, out) == (2, "") and errors.count("error:") == 1
    status, out, errors, _ = job(monkeypatch, 2, "info", "pretrained")
    assert (status, out) == (2, "")
    assert errors == "minivit: 2 ranks share the work of train and eval only: start this without mpiexec\n"


def test_a_loss_that_is_not_finite_is_told_once(data, tmp_path, monkeypatch):
    settings = {**EVERYTHING, "learning_rate": 1e30, "clip_norm": "off"}
    alone = train(monkeypatch, 1, data, tmp_path / "one", settings)
    status, out, errors, _ = train(monkeypatch, 2, data, tmp_path / "two", settings)
    assert status == alone[0] == 1
    assert errors.replace("two", "one") == alone[2] and "produced the first of them" in errors


def test_eval_is_shared_out(whole, monkeypatch):
    found = [job(monkeypatch, ranks, "eval", str(whole))[:2] for ranks in (1, 4)]
    assert found[0] == found[1] and found[0][0] == 0


def test_a_launcher_of_another_library_is_noticed(monkeypatch):
    status, out, errors, _ = job(monkeypatch, 1, "eval", "pretrained", OMPI_COMM_WORLD_SIZE=2)
    assert (status, out) == (2, "") and errors.count("\n") == 1
    assert "2 processes were started, but mpi4py's library (" in errors and ") sees 1: use the mpiexec" in errors


def test_the_benchmark_of_ranks(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ranks", *"--models default --rounds 1 --steps 1 --batch 8 --predict 64".split()])
    benchmark()
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.startswith(("| 1 ", "| 2 ", "| 4 "))]
    assert len(rows) == 9 and all(row.endswith("| yes                   |") for row in rows[:3])
    assert "86,567,656 parameters" in out
