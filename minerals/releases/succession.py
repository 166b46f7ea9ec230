"""The Parquet files that the views read: each goes on holding what its predecessors held.

DuckDB opens a Parquet file twice for a query, once to plan and once to read, by its path each
time. When a new release takes the path over in between, the places noted from the old file are
looked up in the new one: an error, or nonsense. (Measured: of queries in a tight loop beside a
release that changed every two milliseconds, two in three failed.)

So a file that takes over a path holds the data of the files before it, at the places where they
were. The end of a Parquet file says where its data are; nothing says that there is nothing else.
Who planned with an old file reads old rows from the new one; who plans with the new one sees
nothing of the old. Room is reused, so that the file stays at a few times its data.

The files of a release itself stay as they were published; these are copies, made whenever a release
is to become the current one, and only while it is not.
"""

import io
import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from minerals.files import fsync_path, sha256_of
from minerals.releases.parquet_footer import end_of_file, split

SERVED = "served"
PLACES = "places.json"
PREDECESSORS = 3  # a query would have to be planned that many releases before it reads
Place = tuple[int, int]  # from, to (without), in bytes


def prepare(release: Path, predecessor: Path | None) -> None:
    """Write `release/served/`, a copy of each mart that can take over from the predecessor's.

    `release` must not be the current one. A predecessor that is damaged has nothing to go on with:
    nobody reads it, and it must not stop the release that repairs it.
    """
    before = {} if predecessor is None else _places_left(predecessor)
    folder = release / f".{SERVED}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    places = {}
    for mart in sorted(release.glob("*.parquet")):
        kept = [(start, end) for start, end in before.get(mart.name, {}).get("places", [])]
        old = None if predecessor is None else predecessor / SERVED / mart.name
        own = _succeed(mart, old, kept[:PREDECESSORS], folder / mart.name)
        fsync_path(folder / mart.name)
        places[mart.name] = {
            "sha256": sha256_of(folder / mart.name),
            "places": [own, *kept[:PREDECESSORS]],
        }
    (folder / PLACES).write_text(json.dumps(places, indent=1) + "\n")
    fsync_path(folder / PLACES)
    fsync_path(folder)
    shutil.rmtree(release / SERVED, ignore_errors=True)
    folder.rename(release / SERVED)
    fsync_path(release)


def problems(release: Path) -> list[str]:
    """What is wrong with the copies that a release is served from; empty when nothing is."""
    found = []
    try:
        places = _read_places(release)
    except (OSError, ValueError) as error:
        return [f"{SERVED}/{PLACES} cannot be read ({error})"]
    for name, entry in places.items():
        file = release / SERVED / name
        if not file.is_file():
            found.append(f"{SERVED}/{name} is missing")
        elif sha256_of(file) != entry["sha256"]:
            found.append(f"{SERVED}/{name} is not the file that was published (sha256)")
    return found


def _places_left(predecessor: Path) -> dict[str, dict]:
    """The places of the files of a predecessor that are still there."""
    try:
        places = _read_places(predecessor)
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in places.items() if (predecessor / SERVED / name).exists()}


def _read_places(release: Path) -> dict[str, dict]:
    """The places of each file's own data and its predecessors', newest first."""
    file = release / SERVED / PLACES
    content: dict[str, dict] = json.loads(file.read_text()) if file.exists() else {}
    return content


def _succeed(mart: Path, old: Path | None, kept: Sequence[Place], target: Path) -> Place:
    """Write the rows of `mart` to `target`, around the kept places of `old`; return their place."""
    data, metadata = split(mart.read_bytes())
    start = _first_gap(len(data), kept)
    with target.open("wb") as file:
        file.write(data[:4])  # the mark that a Parquet file begins with
        if old is not None and kept:  # a mart that is new has no predecessor
            with old.open("rb") as source:
                for begin, end in kept:
                    source.seek(begin)
                    file.seek(begin)
                    file.write(source.read(end - begin))
        file.seek(start)
        file.write(data)
        file.seek(0, io.SEEK_END)
        file.write(end_of_file(metadata, start))
    return start, start + len(data)


def _first_gap(n_bytes: int, taken: Sequence[Place]) -> int:
    start = 0
    for begin, end in sorted(taken):
        if start + n_bytes <= begin:
            break
        start = max(start, end)
    return start
