"""Requests that do not come from the page are refused, each in one line, and none reaches the disk."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.browser

GOOD = {"model": "tiny", "digit": 3, "number": 7}


def ask(served, path, body=None, method=None, **headers):
    """(status, headers, text)."""
    url = urlsplit(served.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    raw = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
    given = {"Content-Type": "application/json"} if raw is not None else {}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method or ("GET" if body is None else "POST"), path, raw, given)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


@pytest.fixture
def root(served):
    return urlsplit(served.url).path


def test_the_page_and_its_answers(served, root):
    status, headers, text = ask(served, root)
    assert status == 200 and "<title>minivit play</title>" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    status, headers, text = ask(served, f"{root}api/run", GOOD)
    assert status == 200 and json.loads(text)["number"] == 7
    assert "Access-Control-Allow-Origin" not in headers


def test_every_file_has_its_own_media_type(served, root):
    page = ask(served, root)[2]
    for name in re.findall(r'(?:src|href)="([\w.]+)"', page):
        status, headers, _ = ask(served, root + name)
        assert status == 200
        assert (
            headers["Content-Type"].split(";")[0] == {"js": "text/javascript", "css": "text/css"}[name.split(".")[-1]]
        )


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:80", "localhost", "[::1]:80"]
)
def test_another_host_is_refused(served, root, host):
    assert ask(served, root, Host=host)[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_another_origin_is_refused(served, root, origin):
    assert ask(served, f"{root}api/run", GOOD, Origin=origin)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_is_refused(served, root, site):
    assert ask(served, f"{root}api/run", GOOD, Sec_Fetch_Site=site)[0] == 403


@pytest.mark.parametrize("path", ["/", "/api/run", "/wrong-token/", "/wrong-token/api/run", "/wrong-token/app.js"])
def test_without_the_token_there_is_nothing(served, path):
    assert ask(served, path)[0] == 404
    assert ask(served, path, GOOD)[0] in (404, 405)


@pytest.mark.parametrize(
    "path",
    ["../server.py", "%2e%2e/server.py", "..%2f..%2fpage%2fserver.py", "static/app.js", "/etc/passwd", "app.js%00"],
)
def test_no_path_reaches_the_disk(served, root, path):
    assert ask(served, root + path)[0] == 404


def test_a_huge_body_is_refused(served, root):
    assert ask(served, f"{root}api/run", b"[" * (1 << 20) + b"[")[0] == 413
    assert ask(served, f"{root}api/run", b"{}", Content_Length="99999999999999999999")[0] in (400, 413)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN", b'{"model":'])
def test_garbage_is_refused(served, root, body):
    status, _, text = ask(served, f"{root}api/run", body)
    assert status == 400 and "\n" not in json.loads(text)["error"]


def test_a_body_of_another_type_is_refused(served, root):
    assert ask(served, f"{root}api/run", GOOD, Content_Type="text/plain")[0] == 415


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("run", {"model": "nobody"}),
        ("run", {"label": 10}),
        ("run", {"bug": "nobody"}),
        ("run", {"pixels": "AAAA"}),
        ("tensors", {"names": ["nothing"]}),
        ("slope", {"name": "loss", "entry": [1]}),
        ("slope", {"name": "nothing", "entry": []}),
        ("slope", {"name": "patches", "entry": [16, 0]}),
        ("point", {"bug": "nobody", "file": "x", "line": 1}),
        ("picture", {"grey": {"width": 10**9, "height": 10**9, "data": ""}}),
    ],
)
def test_requests_that_make_no_sense(served, root, path, more):
    status, _, text = ask(served, f"{root}api/{path}", {**GOOD, **more})
    assert status == 400 and json.loads(text)["error"].count("\n") == 0


def test_two_pages_at_once_get_their_own_answers(served, root):
    from concurrent.futures import ThreadPoolExecutor

    bodies = [{"model": "tiny", "digit": k % 10, "number": k} for k in range(40)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: json.loads(ask(served, f"{root}api/run", body)[2]), bodies))
    assert [answer["number"] for answer in answers] == list(range(40))
    assert [answer["label"] for answer in answers] == [k % 10 for k in range(40)]


def test_the_command_serves_and_ends_at_once(served):
    """Its address is printed, Ctrl-C ends it, and its status says so. How long both took is printed."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    begun = time.perf_counter()
    command = [sys.executable, "-m", "minivit", "play", "tiny", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    url = urlsplit(process.stdout.readline().strip())
    while True:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        connection.request("GET", url.path)
        if connection.getresponse().status == 200:
            break
    connection.close()
    started = time.perf_counter() - begun
    begun = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, problems = process.communicate(timeout=20)
    print(f"budget: start to page {started:.2f} s (1.5 s); Ctrl-C to the end {time.perf_counter() - begun:.2f} s (1 s)")
    assert process.returncode == 130
    assert problems == "minivit: interrupted\n"


def test_a_port_that_is_taken(served):
    port = str(urlsplit(served.url).port)
    command = [sys.executable, "-m", "minivit", "play", "tiny", "--no-browser", "--port", port]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1 and "choose another --port" in run.stderr
