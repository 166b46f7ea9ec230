"""What a person reads on the terminal: progress while it runs, tables at the end, answers later.

Reads the served release only; computes nothing that is not in a mart.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import duckdb
import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from minerals.errors import ReleaseError
from minerals.releases import ReleaseStore
from minerals.settings import Settings
from orchestration.asked import (
    known_category,
    known_importer,
    known_mineral,
    known_source,
    why_nothing,
)

if TYPE_CHECKING:
    from orchestration.run import RefreshResult

WELL_KNOWN = (("Copper", "ores"), ("Lithium", "products"), ("Phosphorous", "ores"),
              ("Rare Earths", "products"), ("Nickel", "scrap"))  # fmt: skip


class LineProgress:
    """One plain line as each step starts and ends, for logs."""

    def __init__(self, console: Console, stages: Mapping[str, str]) -> None:
        self.console = console
        self.stages = stages
        self.seconds = dict.fromkeys(stages, 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_step(self, stage: str, step: str, event: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        took = f" after {seconds:.1f} s" if event != "started" else ""
        self.console.print(f"{_clock()} {stage}: {step} {event}{took}")


class LiveProgress(LineProgress):
    """The stages as a list that fills in, with a clock on the one that runs."""

    def __init__(self, console: Console, stages: Mapping[str, str]) -> None:
        super().__init__(console, stages)
        self.state = dict.fromkeys(stages, "waiting")
        self.since: dict[str, float] = {}
        self.live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=8,
            # The streams go into the log file; rich would bring them back to the terminal.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self.live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.live.__exit__(*error)

    def on_step(self, stage: str, step: str, event: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        if event == "started":
            self.since[stage] = time.monotonic()
            self.state[stage] = "running"
        else:
            self.since.pop(stage, None)
            if self.state.get(stage) != "failed":
                self.state[stage] = event

    def _table(self) -> Table:
        signs = {"waiting": "[dim]·[/]", "running": "[cyan]▸[/]", "done": "[green]✓[/]",
                 "failed": "[red]✗[/]"}  # fmt: skip
        table = Table.grid(padding=(0, 1))
        for stage, words in self.stages.items():
            running = time.monotonic() - self.since[stage] if stage in self.since else 0.0
            seconds = self.seconds[stage] + running
            state = self.state[stage]
            clock = f"{seconds:5.1f} s" if state != "waiting" else ""
            table.add_row(signs[state], f"[dim]{words}[/]" if state == "waiting" else words, clock)
        return table


def print_failure(console: Console, settings: Settings, result: "RefreshResult") -> None:
    """Why the refresh stopped, what is still served, where to read more."""
    first, *others = result.failures or ["no step said why; see the log"]
    console.print(f"\n[bold red]failed[/] {first}", soft_wrap=True)
    console.print(f"The run stopped after {result.seconds:.0f} s.")
    for failure in others:
        console.print(f"  [red]✗[/] {failure}", soft_wrap=True, markup=True)
    served = _store(settings).manifest()
    if served:
        console.print(
            f"Nothing was published: release {served['release_id']} is still the one served."
        )
    else:
        console.print("Nothing was published, and there is no earlier release.")
    pages = settings.data_docs_dir / result.run_id / "index.html"
    if pages.exists():
        console.print(f"What the gates found: {pages}", soft_wrap=True)
    console.print(f"Log: {result.log_file}", soft_wrap=True)


def print_success(console: Console, settings: Settings, result: "RefreshResult") -> None:
    """Fits, a few rankings, where the release lies, and what to do next."""
    release = _store(settings).manifest() or {}
    with open_marts(settings) as marts:
        for importer in settings.importers:
            console.print(_fits(marts, importer))
        console.print(_leaders(marts, settings.importers[0]))
        console.print(_strategies(marts, settings.importers[0]))
        console.print(_replication(marts, release["settings"]["top_k"]))
        lost = marts.execute(
            "select disposition, sum(n_rows)::bigint from marts.trade_balance "
            "group by disposition order by disposition"
        ).fetchall()
    console.print(
        "trade rows: " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in lost)
    )
    for warning in result.warnings:
        console.print(f"[yellow]warning[/] {warning}", soft_wrap=True)
    if result.not_run:
        console.print(
            f"[yellow]not run[/] {len(result.not_run)} checks had nothing to compare with: "
            f"{', '.join(result.not_run[:3])} ...",
            soft_wrap=True,
        )
    console.print(
        f"\n[bold green]Released[/] {release.get('release_id')} in {result.seconds:.0f} s"
    )
    console.print(f"  {_store(settings).current()}", soft_wrap=True)
    console.print(
        "\nnext:  [bold]make ui[/]                         the asset graph and run history"
    )
    console.print(
        '       [bold].venv/bin/minerals query "select mineral, category, exporter_iso3, '
        'forward_rank from marts.ranking_forward limit 5"[/]'
        f"   or open {settings.serving_database} read-only",
        soft_wrap=True,
    )


def print_ranking(
    console: Console,
    settings: Settings,
    mineral: str,
    category: str,
    importer: str | None,
    source: str | None,
    top: int,
) -> None:
    """The forward ranking of one mineral. Raises ReleaseError with the known names otherwise."""
    category = known_category(category)
    source = known_source(source) if source is not None else None
    with open_marts(settings) as marts:
        mineral = known_mineral(
            mineral, _column(marts, "select distinct mineral from marts.ranking_forward")
        )
        importer = known_importer(
            importer,
            settings,
            _column(marts, "select distinct importer_iso3 from marts.ranking_forward"),
        )
        rows = marts.execute(
            """
            select *, rank() over (order by not is_headline) as source_order
            from marts.ranking_forward
            where importer_iso3 = ? and category = ? and mineral = ?
                and coefficient_source = coalesce(?, coefficient_source)
            qualify source_order = 1
            order by forward_rank
            """,
            [importer, category, mineral, source],
        ).df()
    if rows.empty:
        raise ReleaseError(f"No {source or ''} ranking of {mineral} {category} for {importer}.")
    used = rows["coefficient_source"].iloc[0]
    table = Table(
        title=f"{mineral} {category} for {importer}, {used} coefficients",
        title_justify="left",
    )
    for name in ("rank", "supplier", "rank, 90%", "in top k", "actual share", "predicted t/year"):
        table.add_column(name, justify="left" if name == "supplier" else "right")
    for row in rows.head(top).to_dict("records"):
        table.add_row(
            str(row["forward_rank"]),
            row["exporter_iso3"],
            f"{row['rank_low']}-{row['rank_high']}",
            f"{row['top_k_probability']:.0%}",
            percent(row["actual_share"]),
            number(row["predicted_qty_kg"] / 1000, ",.1f"),
        )
    console.print(table)
    if rows["is_headline"].iloc[0]:
        console.print(f"Why these coefficients: {rows['headline_reason'].iloc[0]}.")
    console.print(f"{len(rows)} candidates in all. Release {release_id(settings)}.")


def print_settings(console: Console, settings: Settings) -> None:
    """Every setting: its variable, its value, its meaning."""
    table = Table()
    table.add_column("variable", no_wrap=True)
    for name in ("value", "meaning"):
        table.add_column(name, overflow="fold")
    for name, info in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = ",".join(value) if isinstance(value, tuple) else str(value)
        variable = "COMTRADE_API_KEY" if name == "comtrade_api_key" else f"MINERALS_{name.upper()}"
        table.add_row(variable, shown, info.description or "")
    console.print(table)


def _fits(marts: duckdb.DuckDBPyConnection, importer: str) -> Group:
    """Each category's fit, and below the table why a category has published coefficients only."""
    table = Table(title=f"\nModels of the imports of {importer}", title_justify="left")
    table.add_column("category")
    for name in ("observations", "non-zero", "pseudo R2"):
        table.add_column(name, justify="right")
    table.add_column("coefficients")
    rows = marts.execute(
        "select * from marts.ppml_fit where importer_iso3 = ? order by category", [importer]
    ).df()
    reasons = []
    for row in rows.to_dict("records"):
        ours = bool(row["is_publishable"])
        table.add_row(
            row["category"],
            number(row["n_observations"], ",.0f"),
            number(row["n_nonzero"], ",.0f"),
            number(row["pseudo_r2"], ".3f"),
            "estimated and published" if ours else "published only",
        )
        if not ours:
            reasons.append(Text(f"{row['category']}: published only, because {row['reason']}"))
    return Group(table, *reasons)


def _leaders(marts: duckdb.DuckDBPyConnection, importer: str) -> Table:
    table = Table(
        title=f"\nForward suppliers for {importer}, with their actual shares", title_justify="left"
    )
    for name in ("mineral", "category", "coefficients", "five leading suppliers (actual share)"):
        table.add_column(name)
    for mineral, category in WELL_KNOWN:
        sources = _column(
            marts,
            "select distinct coefficient_source from marts.ranking_forward where importer_iso3 = ? "
            "and category = ? and mineral = ? order by 1",
            [importer, category, mineral],
        )
        for source in sources:
            rows = marts.execute(
                "select exporter_iso3, actual_share from marts.ranking_forward where "
                "importer_iso3 = ? and category = ? and mineral = ? and coefficient_source = ? "
                "order by forward_rank limit 5",
                [importer, category, mineral, source],
            ).fetchall()
            listed = ", ".join(f"{iso3} ({percent(share)})" for iso3, share in rows)
            table.add_row(mineral, category, source, listed)
    return table


def _strategies(marts: duckdb.DuckDBPyConnection, importer: str) -> Table:
    """What to do about the well-known minerals: from whom to buy more, and from whom less."""
    table = Table(title=f"\nWhat {importer} might do", title_justify="left")
    for name in ("mineral", "category", "strategy", "HHI now, then", "more from", "less from"):
        table.add_column(name)
    for mineral, category in WELL_KNOWN:
        market = [importer, category, mineral]
        found = marts.execute(
            "select strategy, hhi_actual, hhi_recommended from marts.portfolio_strategy "
            "where (importer_iso3, category, mineral) = (?, ?, ?)",
            market,
        ).fetchone()
        if found is None:
            continue
        strategy, now, then = found
        moves = marts.execute(
            "select exporter_iso3, change_share from marts.portfolio_partners where "
            "(importer_iso3, category, mineral) = (?, ?, ?) and abs(change_share) >= 0.01 "
            "order by abs(change_share) desc, 1",
            market,
        ).fetchall()
        table.add_row(
            mineral,
            category,
            strategy.replace("_", " "),
            f"{number(now, '.2f')} {number(then, '.2f')}".strip(),
            *(_moves(moves, sign) for sign in (1, -1)),
        )
    return table


def _moves(moves: list[tuple[str, float]], sign: int) -> str:
    """The three largest moves of that sign, in points of share."""
    chosen = [(iso3, 100 * move) for iso3, move in moves if sign * move > 0]
    return ", ".join(f"{iso3} {points:+.0f}" for iso3, points in chosen[:3])


def _replication(marts: duckdb.DuckDBPyConnection, top_k: int) -> str:
    from minerals.sourcing.replication import summary

    means = summary(marts.sql("from marts.replication_scorecard").df(), top_k)
    return "\n".join(
        f"replication of the study's {row['category']} ranking with its own coefficients: mean "
        f"top-{top_k} overlap {row['mean_overlap_share']:.1%}, mean Spearman "
        f"{row['mean_spearman_rho']:.2f}, over {row['n_minerals']} minerals; the served ranking, "
        f"with gaps filled in: mean overlap {row['mean_overlap_share_as_served']:.1%}, over "
        f"{row['n_minerals_as_served']:.0f}"
        for row in means.to_dict("records")
    )


def open_marts(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The served marts, read-only. Raises ReleaseError when they cannot be read."""
    file = settings.serving_database
    if not file.exists():
        raise ReleaseError(
            f"There is no release to read: {why_nothing(settings.warehouse_dir)}"
            if not _store(settings).list()
            else f"{file} is missing: `minerals releases rollback current` writes it anew."
        )
    try:
        marts = duckdb.connect(str(file), read_only=True)
    except duckdb.Error as error:
        raise ReleaseError(
            f"{file} cannot be opened ({error}). If it is damaged, `minerals releases rollback "
            "current` writes it anew."
        ) from error
    try:
        marts.execute("select 1 from marts.ppml_fit limit 1")
    except duckdb.Error as error:
        marts.close()
        raise ReleaseError(
            f"{file} looks for the release where it is not any more (was the warehouse folder "
            "moved?): `minerals releases rollback <release>` or `make refresh` writes it anew."
        ) from error
    return marts


def _store(settings: Settings) -> ReleaseStore:
    return ReleaseStore(settings.releases_dir, settings.serving_database)


def release_id(settings: Settings) -> str:
    return str((_store(settings).manifest() or {}).get("release_id"))


def _column(
    marts: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()
) -> list[str]:
    return [row[0] for row in marts.execute(sql, list(parameters)).fetchall()]


def number(value: float | None, form: str) -> str:
    """The figure, or nothing where there is none."""
    return "" if pd.isna(value) else format(value, form)


def percent(share: float | None) -> str:
    return "none" if pd.isna(share) else f"{share:.0%}"


def _clock() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"


def _age(moment: str) -> str:
    hours = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() / 3600
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"
