"""kill -9 at random moments in a row, each third time followed by a whole refresh.

    KILLS=100 make test-faults ARGS="-s -k random_kills"

Three kills by default; 100 take about an hour. The table of outcomes is printed at the end.
"""

import os
import random
import re
import subprocess
import time
from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.integration.conftest import TestWarehouse, kill_group

KILLS = int(os.environ.get("KILLS", "3"))
LONGEST = 25.0  # seconds: about what a refresh takes


def test_random_kills_leave_a_whole_release_and_a_refresh_recovers(own: TestWarehouse) -> None:
    moments = random.Random(20260101)
    outcomes: Counter[tuple[str, str]] = Counter()
    for number in range(1, KILLS + 1):
        before = own.release_id()
        step = _killed_after(own, moments.uniform(0.2, LONGEST))
        served = own.release_id()
        assert own.store().verify(served) == []
        assert own.served("select count(*) from marts.ppml_fit") == [(6,)]
        outcomes[step, "the same release" if served == before else "the new release"] += 1
        if number % 3 == 0:
            done = own.command("refresh", "--quiet")
            assert done.returncode == 0, done.stdout + done.stderr
            assert own.release_id() > served
            outcomes["(a whole refresh)", "a new release"] += 1
    Console().print(_table(outcomes))


def _killed_after(warehouse: TestWarehouse, seconds: float) -> str:
    """Start a refresh, kill it and all it started after some seconds; the step it was in."""
    process = warehouse.start("refresh", "--quiet")
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_group(process)
    time.sleep(0.2)
    steps = re.findall(r": (\w+) started", process.stdout.read() if process.stdout else "")
    return "(ended before)" if process.returncode == 0 else (steps or ["(start)"])[-1]


def _table(outcomes: Counter[tuple[str, str]]) -> Table:
    table = Table("killed in step", "served afterwards", "times")
    for (step, served), times in sorted(outcomes.items()):
        table.add_row(step, served, str(times))
    return table
