"""How many of something, in words."""


def counted(count: int, what: str, several: str | None = None) -> str:
    """1 epoch, 2 epochs; `several` is the plural where it is more than an s: 1 class, 2 classes."""
    return f"{count} {what if count == 1 else several or f'{what}s'}"
