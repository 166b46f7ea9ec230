"""The progress of a run on the terminal: a list that fills in, or one line per step for logs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

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
        TimeElapsedColumn(),
        console=console,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    tasks = {s: bar.add_task(f"[dim]· {words}[/]", start=False) for s, words in run.STAGES.items()}

    def show_stage(stage: str, step: str, event: str, seconds: float) -> None:
        task = tasks[stage]
        if not bar.tasks[task].description.startswith(_SIGNS["failed"]):
            bar.update(task, description=f"{_SIGNS[event]} {run.STAGES[stage]}")
        bar.tasks[task].stop_time = None  # a stage of several steps goes on
        (bar.start_task if event == "started" else bar.stop_task)(task)

    with bar:
        yield show_stage
