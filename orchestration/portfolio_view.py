"""The recommended portfolio and the effect of a loss, as a person reads them on the terminal.

Reads the served release only. The shares, the loss and its replacement are computed in
`minerals/sourcing`; the commands are in `portfolio_cli`.
"""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from minerals.errors import ReleaseError
from minerals.releases import ReleaseStore
from minerals.settings import Choices, Settings
from minerals.sourcing.portfolio_tables import weights
from minerals.sourcing.shocks import lose, recommend_without
from orchestration.asked import known_category, known_importer, known_mineral
from orchestration.summary import number, open_marts, percent, release_id


class Choice:
    """What of the served release is asked for. Raises ReleaseError with the known names."""

    def __init__(
        self, settings: Settings, importer: str | None, mineral: str | None, category: str | None
    ) -> None:
        self.settings = settings
        self.category = known_category(category) if category is not None else None
        with open_marts(settings) as marts:
            rows = marts.execute(
                "select distinct importer_iso3, mineral from marts.portfolio_partners"
            ).fetchall()
        self.importer = known_importer(importer, settings, {row[0] for row in rows})
        minerals = {row[1] for row in rows}
        self.mineral = known_mineral(mineral, minerals) if mineral is not None else None

    def rows(self, mart: str, order: str) -> pd.DataFrame:
        with open_marts(self.settings) as marts:
            return marts.execute(
                f"select * from marts.{mart} where importer_iso3 = ? "
                "and mineral = coalesce(?, mineral) and category = coalesce(?, category) "
                f"order by {order}",
                [self.importer, self.mineral, self.category],
            ).df()


def print_strategies(console: Console, chosen: Choice) -> None:
    """One line a mineral and category: the strategy and what would change."""
    rows = chosen.rows("portfolio_strategy", "hhi_actual desc nulls last, category, mineral")
    table = Table(title=f"Strategies for {chosen.importer}", title_justify="left")
    for name in ("strategy", "category", "mineral"):
        table.add_column(name, overflow="fold")
    for name in ("HHI now", "recommended", "to move"):
        table.add_column(name, justify="right")
    for row in rows.to_dict("records"):
        table.add_row(
            row["strategy"].replace("_", " "),
            row["category"],
            row["mineral"],
            number(row["hhi_actual"], ".2f"),
            number(row["hhi_recommended"], ".2f"),
            percent(row["change_share"]) if pd.notna(row["change_share"]) else "",
        )
    console.print(table)
    console.print(
        "One of them: minerals portfolio --mineral Copper --category ores. "
        f"Release {release_id(chosen.settings)}."
    )


def print_portfolio(console: Console, chosen: Choice, top: int) -> None:
    """Suppliers of one mineral with today's, the model's and the recommended shares."""
    partners = chosen.rows("portfolio_partners", "category, recommended_share desc, forward_rank")
    strategies = chosen.rows("portfolio_strategy", "category").set_index("category")
    optimization = chosen.rows("portfolio_optimization", "category").set_index("category")
    frontier = chosen.rows("portfolio_frontier", "category, concentration_penalty")
    for category, rows in partners.groupby("category"):
        console.print(_portfolio_table(chosen, str(category), rows.head(top)))
        console.print(strategies.loc[category, "rationale"])
        solved = optimization.loc[category]
        binds = solved["binding_constraints"] or solved["infeasible_because"] or "nothing"
        console.print(f"What binds: {binds}.")
        points = frontier.loc[frontier["category"] == category]
        if not points.empty:
            console.print(_frontier_line(points))
        console.print()
    console.print(f"Release {release_id(chosen.settings)}.")


def _portfolio_table(chosen: Choice, category: str, rows: pd.DataFrame) -> Table:
    table = Table(
        title=f"{chosen.mineral} {category} for {chosen.importer}: {len(rows)} suppliers with the "
        "largest recommended shares",
        title_justify="left",
    )
    table.add_column("supplier")
    for name in ("rank", "top k", "now", "model", "recommended", "at most"):
        table.add_column(name, justify="right")
    table.add_column("role", no_wrap=True)
    for row in rows.to_dict("records"):
        table.add_row(
            row["exporter_iso3"],
            str(row["forward_rank"]),
            f"{row['top_k_probability']:.0%}",
            percent(row["actual_share"]),
            percent(row["model_share"]),
            percent(row["recommended_share"]),
            percent(row["capacity_share"]) if pd.notna(row["capacity_share"]) else "unknown",
            row["role"],
        )
    return table


def _frontier_line(points: pd.DataFrame) -> str:
    steps = [
        f"{'*' if row['is_recommended'] else ''}{row['hhi']:.2f} ({row['divergence']:.2f})"
        for row in points.to_dict("records")
    ]
    return (
        "Frontier, HHI (divergence from the model, nats) as the concentration penalty rises, * in "
        "use: " + ", ".join(steps)
    )


def print_shock(console: Console, chosen: Choice, lost: Sequence[str]) -> None:
    """The loss market by market; of one market also the replacements and the new portfolio."""
    partners = chosen.rows("portfolio_partners", "category, mineral, forward_rank")
    unknown = [code for code in lost if code not in set(partners["exporter_iso3"])]
    if not lost or unknown:
        named = ", ".join(unknown) or "nobody"
        raise ReleaseError(
            f"--lose {named}: no supplier of what was asked for; give ISO3 codes, such as CHN,RUS."
        )
    losses = {
        (str(category), str(mineral)): (rows, lose(rows, lost))
        for (category, mineral), rows in partners.groupby(["category", "mineral"])
    }
    hit = {key: pair for key, pair in losses.items() if pair[1].lost_qty_kg > 0}
    title = f"{chosen.importer} without {', '.join(lost)}"
    if not hit:
        console.print(f"{title}: nothing of known quantity is lost in {len(losses)} markets.")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("category", no_wrap=True)
    table.add_column("mineral", overflow="fold", min_width=len("Phosphorous"))
    for name in ("lost", "lost t/year", "replaced", "HHI", "after"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("next best, part of the loss", overflow="fold")
    for (category, mineral), (_, loss) in sorted(hit.items(), key=lambda i: -i[1][1].lost_share):
        first = loss.replacements.query("added_qty_kg > 0").nlargest(4, "added_qty_kg")
        table.add_row(
            category,
            mineral,
            f"{loss.lost_share:.1%}",
            number(loss.lost_qty_kg / 1000, ",.1f"),
            percent(loss.replaceable_share),
            number(loss.hhi_before, ".2f"),
            number(loss.hhi_after, ".2f"),
            ", ".join(
                f"{iso3} {added / loss.lost_qty_kg:.0%}"
                for iso3, added in zip(first["exporter_iso3"], first["added_qty_kg"], strict=True)
            ),
        )
    console.print(table)
    console.print(f"{len(losses) - len(hit)} other markets lose nothing of known quantity.")
    if len(hit) == 1:
        rows, _ = next(iter(hit.values()))
        _print_new_portfolio(console, chosen.settings, rows, lost)
    console.print(f"Release {release_id(chosen.settings)}.")


def _print_new_portfolio(
    console: Console, settings: Settings, rows: pd.DataFrame, lost: Sequence[str]
) -> None:
    solution = recommend_without(rows, lost, weights(_choices_of_release(settings)))
    if solution.shares is None:
        console.print(f"No portfolio without them: {solution.infeasible_because}.")
        return
    table = Table(title="Recommended without them", title_justify="left")
    table.add_column("supplier")
    for name in ("now", "recommended before", "recommended then"):
        table.add_column(name, justify="right")
    then = rows.assign(then=solution.shares).nlargest(10, "then")
    for row in then.to_dict("records"):
        shares = (row["actual_share"], row["recommended_share"], row["then"])
        table.add_row(row["exporter_iso3"], *(percent(share) for share in shares))
    console.print(table)
    console.print(
        f"HHI {solution.hhi:.2f}, {1 / solution.hhi:.1f} effective suppliers; "
        f"{solution.change:.0%} of today's imports move."
    )


def _choices_of_release(settings: Settings) -> Choices:
    """Those the release was made with, so that what differs from it is the shock's."""
    manifest = ReleaseStore(settings.releases_dir, settings.serving_database).manifest() or {}
    made_with = manifest.get("settings", {})
    return Choices(**{**settings.choices.model_dump(), **made_with})
