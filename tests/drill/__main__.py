"""`make drill`: the table of damages, what caught each, and whether the release stayed served."""

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from minerals.settings import Settings, limit_linear_algebra_threads

limit_linear_algebra_threads()

from orchestration.run import terminal  # noqa: E402  (after the threads are limited)
from tests.drill.damages import DAMAGES  # noqa: E402
from tests.drill.rehearsal import Finding, quietly, rehearse  # noqa: E402


def main() -> int:
    settings = Settings()
    if not settings.database.exists():
        Console(stderr=True).print(f"There is no {settings.database}: run `make refresh` first.")
        return 1
    findings = []
    with terminal() as stream, tempfile.TemporaryDirectory() as folder:
        console = Console(file=stream, highlight=False)
        with quietly(Path(folder) / "drill.log"), Progress(console=console) as progress:
            task = progress.add_task("damage after damage", total=len(DAMAGES))
            for finding in rehearse(settings, Path(folder) / "copy", DAMAGES):
                findings.append(finding)
                progress.update(task, advance=1, description=finding.damage.name)
        console.print(table(findings))
        through = [f.damage.name for f in findings if not f.is_caught]
        console.print(
            f"[red]passed through: {', '.join(through)}[/]"
            if through
            else f"{len(findings)} kinds of damage, each caught; the release before stayed served"
        )
    return 1 if through else 0


def table(findings: list[Finding]) -> Table:
    """A row a damage."""
    shown = Table("damage", "done to", "stopped in", "caught by", "still served", "s")
    for one in findings:
        first, *others = one.caught_by or ("[red]nothing[/]",)
        more = f" and {len(others)} more" if others else ""
        shown.add_row(
            one.damage.name,
            one.damage.dataset,
            one.stage,
            first[:110] + more,
            "yes" if one.is_still_served else "[red]NO[/]",
            f"{one.seconds:.0f}",
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
