"""A file is written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path


class RecordError(RuntimeError):
    """A record or a store that cannot be used; the message says which, why, and what to do."""


def write(path: Path, content: bytes, then: str = ", and run the study again: it goes on where it was saved last") -> None:
    """Write a file whole or not at all; `RecordError` says why not, and what to do `then`."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        advice = f"make room or choose another folder{then}"
        raise RecordError(f"{path} could not be written ({error.strerror}); {advice}") from error
