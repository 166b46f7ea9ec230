"""The progress of a run on the terminal: a list that fills in, or one line per step for logs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from orchestration.run import StepCallback

_SIGNS = {"started": "[cyan]▸[/]", "done": "[green]✓[/]", "failed": "[red]✗[/]"}


@contextmanager
def progress(console: Console, quiet: bool = False) -> Iterator["StepCallback"]:
    """What `run.refresh` calls at each step; shows it while the block runs."""
    from orchestration import run

    if quiet or not console.is_terminal:

        def print_line(stage: str, step: str, event: str, seconds: float) -> None:
            took = f" after {seconds:.1f} s" if event != "started" else ""
            console.print(f"{datetime.now(UTC):%H:%M:%S} {stage}: {step} {event}{took}")

        yield print_line
        return
    # The streams go into the log file; rich would bring them back to the terminal.
    bar = Progress(
        TextColumn("{task.description}"),
        _Seconds(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    tasks = {
        stage: bar.add_task(f"[dim]· {words}[/]", since=None, spent=0.0)
        for stage, words in run.STAGES.items()
    }

    def show_stage(stage: str, step: str, event: str, seconds: float) -> None:
        task = bar.tasks[tasks[stage]]
        has_failed = task.description.startswith(_SIGNS["failed"])
        bar.update(
            task.id,
            description=f"{_SIGNS['failed' if has_failed else event]} {run.STAGES[stage]}",
            since=time.monotonic() if event == "started" else None,
            spent=task.fields["spent"] + seconds,
        )

    with bar:
        yield show_stage


class _Seconds(ProgressColumn):
    """The seconds that the steps of a stage took, the running one included."""

    def render(self, task: Task) -> Text:
        since, spent = task.fields["since"], task.fields["spent"]
        spent += time.monotonic() - since if since else 0.0
        return Text(f"{spent:6.1f} s" if spent else "")
