"""Answers of publishers on disk, as received, each with a note of where it came from.

What a client has fetched lies here until a snapshot is made of it, so that a process that was
killed, or stopped by a quota, goes on where it was. A file whose bytes do not match its note is not
used.
What to fetch and how to read it belongs to the module of each source.
"""

import json
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from minerals.sources.http import Answer, Client, Expected
from minerals.sources.snapshots import Original, fsync_path, sha256_of, write_atomically

_NOTE = ".note.json"
_LEFTOVER_SECONDS = 86_400.0  # younger ones may be of a process that is writing


@dataclass(frozen=True)
class Downloads:
    """One folder of answers. Names are file names; a note `<name>.note.json` lies beside each."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def names(self) -> set[str]:
        """The names of what is stored, whole or not."""
        return {note.name.removesuffix(_NOTE) for note in self.folder.glob(f"*{_NOTE}")}

    def find(self, name: str) -> Original | None:
        """The stored answer, if it is there and whole."""
        file = self.path(name)
        try:
            original = Original(**json.loads(self.path(name + _NOTE).read_text()))
            return original if sha256_of(file) == original.sha256 else None
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, name: str, answer: Answer) -> Original:
        """Store an answer: first its bytes, then its note, so that half of it is never found."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.path(name)
        temporary = file.with_name(f".{name}.{uuid.uuid4().hex[:8]}")
        temporary.write_bytes(answer.body)
        fsync_path(temporary)
        temporary.replace(file)
        original = Original(
            name=name,
            url=answer.url,
            params=dict(answer.params),
            status=answer.status,
            etag=answer.etag,
            last_modified=answer.last_modified,
            retrieved_at=answer.retrieved_at,
            sha256=sha256_of(file),
            n_bytes=len(answer.body),
        )
        write_atomically(self.path(name + _NOTE), json.dumps(asdict(original), indent=2) + "\n")
        return original

    def fetch(
        self,
        client: Client,
        name: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        expected: Expected = "json",
        check: Callable[[Answer], object] | None = None,
    ) -> Original:
        """Ask whether the stored answer is still the publisher's; fetch the new one if not."""
        stored = self.find(name)
        answer = client.get(
            path,
            params,
            expected=expected,
            check=check,
            etag=stored.etag if stored else None,
            last_modified=stored.last_modified if stored else None,
        )
        if answer.is_unchanged and stored:
            return stored
        return self.keep(name, answer)

    def copy(self, original: Original, name: str) -> Original:
        """Keep a stored answer under a second name, which later answers do not replace."""
        shutil.copyfile(self.path(original.name), self.path(name))
        fsync_path(self.path(name))
        copied = Original(**{**asdict(original), "name": name})
        write_atomically(self.path(name + _NOTE), json.dumps(asdict(copied), indent=2) + "\n")
        return copied

    def read(self, original: Original) -> bytes:
        return self.path(original.name).read_bytes()

    def remove_leftovers(self) -> int:
        """Delete what a killed process left half-written long ago; return how many files."""
        before = time.time() - _LEFTOVER_SECONDS
        old = [f for f in self.folder.glob(".*") if f.is_file() and f.stat().st_mtime < before]
        for file in old:
            file.unlink(missing_ok=True)
        return len(old)


def remove_folder(folder: Path) -> int:
    """Delete a folder of answers; return how many files it held."""
    n_files = sum(1 for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder)
    return n_files
