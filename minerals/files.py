"""Files that survive a crash: hashed, flushed to the disk, replaced in one step, removed."""

import hashlib
import os
import shutil
import uuid
from pathlib import Path

_CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


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
