"""The files of the page: a fixed table of names and media types, so that no path of a request ever reaches the disk."""

import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}  # the system's own table may be wrong
SCRIPT = re.compile(r'^<script src="([\w.]+)"></script>\n', re.M)


def names() -> list[str]:
    """Every file that the page consists of."""
    page = text(PAGE)
    return [PAGE, *re.findall(r'href="([\w.]+\.css)"', page), *SCRIPT.findall(page)]


def text(name: str) -> str:
    """One of them, as text."""
    return (STATIC / name).read_text(encoding="utf-8")


def media_type(name: str) -> str:
    """Its media type."""
    return TYPES[Path(name).suffix]
