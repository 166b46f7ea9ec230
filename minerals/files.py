"""Files that survive a crash: hashed, flushed to the disk, replaced in one step, removed; the room
that they take, and whether there is more."""

import errno
import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from stat import S_ISREG
from typing import Any

_FULL = [*map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)), "disk is full"]
_READ_ONLY = [
    *map(os.strerror, (errno.EROFS, errno.EACCES)),
    "readonly database",
    "unable to open database file",
]


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_yaml(path: Traversable) -> Any:
    """A YAML file, by the C library where that is built in: ten times faster."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def fsync_path(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file so that a reader sees the old or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    fsync_path(temporary)
    temporary.replace(path)
    fsync_path(path.parent)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all in it, also when it is read-only."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links count nothing."""
    n_bytes = 0
    below = [Path(place, name) for place, _, names in os.walk(path) for name in names]
    for file in below if path.is_dir() else [path]:
        with suppress(FileNotFoundError):  # a run beside us deletes what it has done with
            status = os.lstat(file)
            n_bytes += status.st_size if S_ISREG(status.st_mode) else 0
    return n_bytes


def free_space(folder: Path) -> int:
    """Bytes that still fit on the disk of a folder, which may not be there yet."""
    return shutil.disk_usage(next(f for f in (folder, *folder.parents) if f.exists())).free


def in_megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:,.0f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"


def refuses_to_write(words: str) -> str | None:
    """'full' or 'read-only' when an error of the system, SQLite, DuckDB or dbt says so."""
    if any(sign in words for sign in _FULL):
        return "full"
    return "read-only" if any(sign in words for sign in _READ_ONLY) else None
