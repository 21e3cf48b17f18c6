"""What every test may rely on: hypothesis profiles, groups that must not be skipped, and the stand-ins for a GPU."""

import importlib.util
import os
import pathlib
import platform
import re
import shutil
import sys

import hypothesis
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIRED = frozenset(filter(None, os.environ.get("MINIVIT_REQUIRE", "").split(",")))

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("repeatable" if os.environ.get("CI") else "local")


# MINIVIT_REQUIRE=reference,cupy: in these groups a test that is skipped has failed, and so has a group without tests.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    groups = REQUIRED.intersection(mark.name for mark in item.iter_markers())
    if report.skipped and groups and not hasattr(report, "wasxfail"):
        fail_as_required(report, groups)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.skipped and isinstance(collector, pytest.Module):  # its tests, and so their marks, are never seen
        groups = set(re.findall(r"\bmark\.(\w+)", collector.path.read_text(encoding="utf-8"))) & REQUIRED
        if groups:
            fail_as_required(report, groups)
    return report


def fail_as_required(report, groups):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"MINIVIT_REQUIRE names {', '.join(sorted(groups))}, and this was skipped. {reason}"


def pytest_collection_finish(session):
    found = {mark.name for item in session.items for mark in item.iter_markers()}
    if REQUIRED - found:
        raise pytest.UsageError(f"MINIVIT_REQUIRE: no test selected in group {', '.join(sorted(REQUIRED - found))}")


@pytest.fixture(scope="session")
def shared():
    """The folder `shared` beside the repository, with the full MNIST files in `data/mnist`."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder ../shared beside the repository")
    return folder


@pytest.fixture
def fakecupy(monkeypatch):
    """The strict stand-in as `import cupy`, for one test, with its counters at zero."""
    from tests.tools import fakecupy

    if sys.modules.get("cupy", fakecupy) is not fakecupy:
        pytest.skip("the real CuPy is loaded in this process: start the stand-in group alone, pytest -m standin")
    monkeypatch.setitem(sys.modules, "cupy", fakecupy)
    fakecupy.stats.clear()
    return fakecupy


@pytest.fixture(scope="session")
def cupysim(request):
    """The stock CuPy wheel on the CPU (tests/tools/cupysim): `import cupy` works after it; `.counters` counts."""
    started_alone(request, "cupy")
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or not (shutil.which("gcc") and shutil.which("g++")):
        pytest.skip("CuPy's kernels run on the CPU on x86-64 Linux with gcc and g++ only")
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed: pip install cupy-cuda13x==14.2.0 nvidia-cuda-nvrtc")
    from tests.tools import cupysim

    cupysim.install()
    return cupysim


@pytest.fixture(scope="session")
def gpu(request):
    """The real `cupy` module on a machine with a CUDA card."""
    started_alone(request, "gpu")
    cupy = pytest.importorskip("cupy", reason='CuPy is not installed: pip install ".[gpu13]" or ".[gpu12]"')
    if not cupy.cuda.is_available():
        pytest.skip("CuPy finds no CUDA card")
    return cupy


def started_alone(request, group):
    """Skip unless this process runs `group` only: each group brings a `cupy` of its own, and a process keeps one."""
    if request.config.getoption("markexpr") != group:
        pytest.skip(f"needs a process of its own: pytest -m {group}")
