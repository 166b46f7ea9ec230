"""Answers of publishers on disk, as received, each with a note that says where it came from.

What a client has fetched stays here until a snapshot is made of it, so that a process that was
killed, or stopped by a quota, continues where it was. A file that does not match its note is not
used.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from minerals.files import sha256_of, write_atomically
from minerals.sources.http import Answer, Client, Expected
from minerals.sources.snapshots import Original

_NOTE = ".note.json"
_LEFTOVER_SECONDS = 86_400.0  # a younger file may belong to a process that is writing it
_AS_JSON = TypeAdapter(Original)


@dataclass(frozen=True)
class Downloads:
    """One folder of answers. Names are file names; each has a note `<name>.note.json`."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def names(self) -> set[str]:
        """The names of all stored answers, whole or not."""
        return {note.name.removesuffix(_NOTE) for note in self.folder.glob(f"*{_NOTE}")}

    def find(self, name: str) -> Original | None:
        """The stored answer, if it is there and whole."""
        try:
            original = _AS_JSON.validate_json(self.path(name + _NOTE).read_bytes())
            return original if sha256_of(self.path(name)) == original.sha256 else None
        except (OSError, ValueError):
            return None

    def all(self) -> list[Original]:
        """All whole answers, sorted by name."""
        return [found for name in sorted(self.names()) if (found := self.find(name))]

    def keep(self, name: str, answer: Answer) -> Original:
        """Store an answer: first its bytes, then its note, so that half of it is never found."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.path(name)
        write_atomically(file, answer.body)
        facts = {k: v for k, v in vars(answer).items() if k != "body"}
        return self._note(Original(name, sha256=sha256_of(file), n_bytes=len(answer.body), **facts))

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
        """Ask whether the stored answer is still valid; fetch the new one if it is not, or if what
        is stored came from another address."""
        stored, asked = self.find(name), (client.url(path), dict(params or {}))
        if stored and (stored.url, dict(stored.params)) != asked:
            stored = None
        answer = client.get(
            path,
            params,
            expected=expected,
            check=check,
            etag=stored.etag if stored else None,
            last_modified=stored.last_modified if stored else None,
        )
        return stored if answer.is_unchanged and stored else self.keep(name, answer)

    def copy(self, original: Original, name: str) -> Original:
        """Keep a stored answer under a second name, which later answers do not replace."""
        write_atomically(self.path(name), self.read(original))
        return self._note(replace(original, name=name))

    def read(self, original: Original) -> bytes:
        return self.path(original.name).read_bytes()

    def remove(self, name: str) -> None:
        """Delete an answer, so that it is fetched again."""
        self.path(name + _NOTE).unlink(missing_ok=True)
        self.path(name).unlink(missing_ok=True)

    def _note(self, original: Original) -> Original:
        text = _AS_JSON.dump_json(original, indent=2).decode() + "\n"
        write_atomically(self.path(original.name + _NOTE), text)
        return original


def remove_superseded(folder: Path, pattern: str, kept: Downloads) -> int:
    """Delete the folders that match `pattern`, but for the kept one, in which what a killed process
    left half-written long ago is deleted; return how many files that were."""
    before = time.time() - _LEFTOVER_SECONDS
    old = [f for f in kept.folder.glob(".*") if f.is_file() and f.stat().st_mtime < before]
    for older in set(folder.glob(pattern)) - {kept.folder}:
        old += [file for file in older.rglob("*") if file.is_file()]
    for file in old:
        file.unlink(missing_ok=True)
    for older in set(folder.glob(pattern)) - {kept.folder}:
        shutil.rmtree(older, ignore_errors=True)
    return len(old)
