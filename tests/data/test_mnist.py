"""Fetching, from a server on this machine that behaves as mirrors do: refuses, cuts short, sends something else."""

import gzip
import hashlib
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minivit.data import DataError, fetch_mnist, idx_files, load, mnist
from minivit.data.idx import read_idx
from minivit.data.mnist import CHECKSUMS, MIRRORS, data_folders, find_mnist

NAMES = list(CHECKSUMS)
UNPACKED = {name: bytes([0, 0, 8, 1, 0, 0, 0, 9]) + name[:9].encode() for name in NAMES}
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in UNPACKED.items()}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in UNPACKED.items()}


class Mirrors(BaseHTTPRequestHandler):
    """The first part of an address says how the mirror behaves; `server.asked` lists the addresses."""

    def do_GET(self):
        self.server.asked.append(self.path)
        behaviour, name = self.path.strip("/").split("/")
        content = PACKED[name]
        if behaviour == "forbids":
            self.send_error(403)
        elif behaviour == "lacks":
            self.send_error(404)
        elif behaviour == "redirects":
            self.send_response(302)
            self.send_header("Location", f"/works/{name}")
            self.end_headers()
        elif behaviour == "circles":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif behaviour == "hangs":
            self.send(content[:20], len(content))
            self.server.half_sent.set()
            self.server.released.wait(20)
        elif behaviour == "hangs_up":
            self.close_connection = True
        else:
            sent = {
                "works": content,
                "cuts": content[:-10],
                "cuts_silently": content[:-10],
                "alters": gzip.compress(gzip.decompress(content)[:-1] + b"!", mtime=0),
                "packs_anew": gzip.compress(gzip.decompress(content), 0, mtime=0),
                "greets": b"<html>Please sign in</html>",
                "sends_nothing": b"",
            }[behaviour]
            self.send(sent, {"cuts": len(content), "cuts_silently": None}.get(behaviour, len(sent)))

    def send(self, content, length):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirrors) as server:
        server.asked, server.half_sent, server.released = [], threading.Event(), threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


def fetch(server, cache, *behaviours, progress=False):
    return fetch_mnist([f"{server.url}/{each}" for each in behaviours], cache, progress, SUMS)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("behaviour", ["works", "redirects"])
def test_four_files(server, tmp_path, behaviour):
    assert fetch(server, tmp_path, behaviour) == tmp_path / "mnist"
    assert files(tmp_path) == PACKED
    asked = len(server.asked)
    assert fetch(server, tmp_path, behaviour) == tmp_path / "mnist" and len(server.asked) == asked  # once is enough


def test_packing_does_not_matter(server, tmp_path):
    folder = fetch(server, tmp_path, "packs_anew")
    assert files(folder) != PACKED
    assert {name: gzip.decompress(files(folder)[f"{name}.gz"]) for name in NAMES} == UNPACKED


FAILURES = {
    "forbids": "HTTP 403 Forbidden",
    "lacks": "HTTP 404 Not Found",
    "circles": "HTTP 302",
    "cuts": r"\d+ bytes, \d+ promised|IncompleteRead",  # ours, or a newer Python's
    "cuts_silently": "damaged gzip file",
    "alters": f"another file: its SHA-256 is .*, expected {SUMS[NAMES[0]]}",
    "greets": "27 bytes that are not gzipped",
    "sends_nothing": "0 bytes that are not gzipped",
    "hangs_up": "Remote end closed connection without response",
}


@pytest.mark.parametrize("behaviour", FAILURES)
def test_the_next_mirror_is_asked_and_told_why(server, tmp_path, capsys, behaviour):
    assert files(fetch(server, tmp_path, behaviour, "works", progress=True)) == PACKED
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 4  # one for each file; not a terminal, so no bars
    assert re.search(f"no {NAMES[0]} yet: {server.url}/{behaviour}: .*{FAILURES[behaviour]}", lines[0])


@pytest.mark.parametrize("behaviour", FAILURES)
def test_no_mirror_left(server, tmp_path, capsys, behaviour):
    with pytest.raises(DataError) as caught:
        fetch(server, tmp_path, behaviour, "forbids")
    message = str(caught.value)
    assert re.search(f"{server.url}/{behaviour}: .*{FAILURES[behaviour]}.*{server.url}/forbids: HTTP 403", message)
    assert "\n" not in message and all(f"{name}.gz" in message for name in NAMES) and str(tmp_path / "mnist") in message
    assert files(tmp_path) == {} and capsys.readouterr().err == ""


def test_silence(server, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "TIMEOUT", 0.2)
    with pytest.raises(DataError, match="hangs: timed out"):
        fetch(server, tmp_path, "hangs")
    assert files(tmp_path) == {}


def test_endless_content(server, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "LARGEST_DOWNLOAD", 10)
    with pytest.raises(DataError, match="more than 10 bytes"):
        fetch(server, tmp_path, "works")


@pytest.mark.parametrize("mirror", ["nonsense", "http://127.0.0.1:1", "http://[", "ftp:/", "http://a b/"])
def test_addresses_that_lead_nowhere(tmp_path, monkeypatch, mirror):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=f"no mirror sent {NAMES[0]}.gz"):
        fetch_mnist([mirror], tmp_path, progress=False)


def test_what_is_there_is_kept_and_checked(server, tmp_path):
    folder = fetch(server, tmp_path, "works")
    (folder / f"{NAMES[3]}.gz").unlink()
    fetch(server, tmp_path, "works")
    assert files(tmp_path) == PACKED and len(server.asked) == 5
    (folder / f"{NAMES[2]}.gz").write_bytes(gzip.compress(b"\0\0\x08\1\0\0\0\4mine", mtime=0))
    with pytest.raises(DataError, match=f"{NAMES[2]}.gz is another file: .*; move it away to fetch it"):
        fetch(server, tmp_path, "works")
    assert files(folder)[f"{NAMES[2]}.gz"] == gzip.compress(b"\0\0\x08\1\0\0\0\4mine", mtime=0)


def test_files_put_there_by_hand(server, tmp_path):
    for name, content in UNPACKED.items():
        (tmp_path / name).write_bytes(content)
    assert fetch(server, tmp_path, "forbids") == tmp_path and not server.asked


def test_an_interruption_leaves_nothing(server, tmp_path, monkeypatch):
    class Interrupted(mnist.tqdm):
        def update(self, n=1):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mnist, "tqdm", Interrupted)
        fetch(server, tmp_path, "works")
    assert files(tmp_path) == {}
    assert files(fetch(server, tmp_path, "works")) == PACKED


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to kill with")
@pytest.mark.parametrize("kill", ["SIGINT", "SIGKILL"])
def test_a_killed_process_leaves_nothing(server, tmp_path, kill):
    program = "import sys; from minivit.data import fetch_mnist; fetch_mnist(sys.argv[1:2], sys.argv[2])"
    root = Path(__file__).resolve().parents[2]
    arguments = [sys.executable, "-c", program, f"{server.url}/hangs", str(tmp_path)]
    with subprocess.Popen(arguments, cwd=root, stderr=subprocess.DEVNULL) as process:
        assert server.half_sent.wait(60)
        process.send_signal(getattr(signal, kill))
        assert process.wait(60) != 0
    assert files(tmp_path) == {}
    assert files(fetch(server, tmp_path, "works")) == PACKED


def test_two_fetches_at_once(server, tmp_path):
    """Both meet a missing file, both write it, and whoever reads meanwhile finds all of it or nothing."""
    seen, done = [], threading.Event()

    def watch():
        while not done.is_set():
            seen.extend((path.name, path.read_bytes()) for path in tmp_path.glob("mnist/*.gz"))

    fetches = [threading.Thread(target=fetch, args=(server, tmp_path, "works")) for _ in range(4)]
    watcher = threading.Thread(target=watch)
    watcher.start()
    for thread in fetches:
        thread.start()
    for thread in fetches:
        thread.join()
    done.set()
    watcher.join()
    assert files(tmp_path) == PACKED and len(server.asked) > 4
    assert all(content == PACKED[name] for name, content in seen if not name.startswith("."))


def test_unwritable_cache(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot make .*; set MINIVIT_DATA to a folder that can be written"):
        fetch(server, tmp_path / "file", "works")


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_where_data_is_kept(monkeypatch, tmp_path, platform):
    for name in ("MINIVIT_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    usual = {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}[platform]
    assert data_folders() == [tmp_path / usual / "minivit"]
    own = {"linux": "XDG_CACHE_HOME", "darwin": None, "win32": "LOCALAPPDATA"}[platform]
    if own:
        monkeypatch.setenv(own, str(tmp_path / "own"))
        assert data_folders() == [tmp_path / "own" / "minivit"]
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "data"))
    assert data_folders()[0] == tmp_path / "data" and len(data_folders()) == 2


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_without_a_home(monkeypatch, platform):
    """In containers there may be neither HOME nor an entry in the password database."""

    def home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("MINIVIT_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(DataError, match="there is no home folder to keep data in: set MINIVIT_DATA to a folder"):
        data_folders()
    monkeypatch.setenv("MINIVIT_DATA", "data")
    assert data_folders() == [Path("data")]


def test_find_looks_everywhere(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIVIT_DATA", str(tmp_path / "mine"))
    monkeypatch.setattr(mnist, "data_folders", lambda: [tmp_path / "mine", tmp_path / "cache"])
    assert find_mnist() is None
    for folder in ("cache/mnist", "mine/MNIST/raw", "mine", "mine/mnist"):  # each comes before those made earlier
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in NAMES[:-1]:
            (tmp_path / folder / f"{name}.gz").touch()
        assert find_mnist() != tmp_path / folder  # three files are not enough
        (tmp_path / folder / NAMES[-1]).touch()
        assert find_mnist() == tmp_path / folder


def test_load_fetches_what_is_not_there(shared, monkeypatch):
    monkeypatch.setattr(idx_files, "find_mnist", lambda: None)
    monkeypatch.setattr(idx_files, "fetch_mnist", lambda: shared / "data" / "mnist")
    assert load("mnist").name == "mnist"


def test_the_real_files_have_the_checksums(shared):
    for name, checksum in CHECKSUMS.items():
        assert read_idx(shared / "data" / "mnist" / f"{name}.gz", checksum).dtype == np.uint8
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in MIRRORS)


def test_one_mirror_need_not_be_a_list(tmp_path):
    with pytest.raises(DataError, match="junk: unknown url type"):
        fetch_mnist("junk", tmp_path, progress=False)
