"""The same computation for many importers, group by group, in processes side by side."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from traceback import format_exc
from typing import Any

import pandas as pd

GROUP = 8
"""Importers that are computed at once: few enough that their tables fit in memory many times."""


def groups(importers: Sequence[str], size: int = GROUP) -> list[list[str]]:
    """The importers in their order, at most `size` together."""
    return [list(importers[begin : begin + size]) for begin in range(0, len(importers), size)]


def one_by_one_on_failure(
    compute: Callable[..., Mapping[str, pd.DataFrame]],
    group: Sequence[str],
    arguments: Sequence[Any],
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The tables of a group of importers by name, and why some have none: a sentence, then the
    traceback.

    When the group cannot be computed together, each importer is computed alone: of the arguments,
    frames with a column `importer_iso3` are cut to its rows, and so are those with a method `of`.
    """
    try:
        return dict(compute(*arguments)), {}
    except Exception as error:  # noqa: BLE001 - whatever one importer meets, the others go on
        if len(group) == 1:
            return {}, {group[0]: f"{type(error).__name__}: {error}\n{format_exc()}"}
    made: dict[str, list[pd.DataFrame]] = {}
    failures: dict[str, str] = {}
    for importer in group:
        own = [_cut(argument, importer) for argument in arguments]
        tables, failed = one_by_one_on_failure(compute, [importer], own)
        failures |= failed
        for name, table in tables.items():
            made.setdefault(name, []).append(table)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in made.items()}, failures


def _cut(argument: Any, importer: str) -> Any:
    if isinstance(argument, pd.DataFrame):
        if "importer_iso3" in argument:
            return argument[argument["importer_iso3"] == importer]
        return argument
    return argument.of([importer]) if hasattr(argument, "of") else argument


def side_by_side(
    compute: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], n_jobs: int
) -> Iterator[Any]:
    """`compute(*job)` of each job, in their order, whatever the number of processes.

    Jobs are made when a process is about to be free, so that few are in memory. One job alone is
    computed here. `compute` is a function of a module, its arguments can be pickled.
    """
    workers = min(n_jobs, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    if workers < 2:
        yield from (compute(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        pending: deque[Future[Any]] = deque()
        for job in jobs:
            pending.append(pool.submit(compute, *job))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
