"""The same computation for many importers, group by group, in processes side by side."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

GROUP = 8
"""Importers that are computed at once: few enough that their tables fit in memory many times."""


def groups(importers: Sequence[str], size: int = GROUP) -> list[list[str]]:
    """The importers in their order, at most `size` together."""
    return [list(importers[begin : begin + size]) for begin in range(0, len(importers), size)]


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
