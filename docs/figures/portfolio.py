"""Draws docs/figures/portfolio.png from the served release: `make figures`."""

from pathlib import Path

import duckdb
import matplotlib

from minerals.settings import Settings

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("Copper", "ores"),
    ("Phosphorous", "ores"),
    ("Lithium", "products"),
    ("Rare Earths", "products"),
)
BLUE, GREY, ORANGE = "#1f5a96", "#8a96a0", "#d9822b"
SUPPLIERS = 10
COUNTRIES = str(Settings().seeds_dir / "countries.csv")


def main() -> None:
    marts = duckdb.connect(str(Settings().serving_database), read_only=True)
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.4), constrained_layout=True)
    for axis, (mineral, category) in zip(axes.flat, PANELS, strict=True):
        key = [mineral, category]
        rows = marts.execute(
            """
            select *, 100 * actual_share as now, 100 * model_share as model,
                100 * recommended_share as then
            from marts.portfolio_partners
            inner join read_csv(?) on iso3 = exporter_iso3
            where importer_iso3 = 'IND' and mineral = ? and category = ?
            order by greatest(actual_share, recommended_share) desc
            limit ?
            """,
            [COUNTRIES, *key, SUPPLIERS],
        ).df()
        strategy = marts.execute(
            """
            select strategy, hhi_actual, hhi_recommended
            from marts.portfolio_strategy
            where importer_iso3 = 'IND' and mineral = ? and category = ?
            """,
            key,
        ).fetchone()
        draw(axis, rows, f"{mineral}, {category}", strategy)
    axes.flat[0].legend(fontsize=8, frameon=False, loc="lower right")
    figure.suptitle(
        "India's imports 2019-2023 and the recommended portfolio: at most 30% of them move",
        fontsize=11,
    )
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


def draw(axis: plt.Axes, rows, title: str, strategy: tuple[str, float, float]) -> None:
    """One mineral: suppliers downwards, today's share and the recommended one joined by a line."""
    positions = range(len(rows))
    axis.hlines(positions, rows["now"], rows["then"], color="#d5dbe1", linewidth=4, zorder=1)
    axis.plot(rows["model"], positions, "|", color=BLUE, markersize=11, label="model")
    axis.plot(rows["now"], positions, "o", color=GREY, markersize=7, label="today")
    axis.plot(rows["then"], positions, "o", color=ORANGE, markersize=7, label="recommended")
    axis.set_yticks(list(positions), rows["name"], fontsize=9)
    axis.invert_yaxis()
    axis.set_xlim(-1.5, None)
    axis.set_xlabel("share of imports, %", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    word, now, then = strategy
    axis.set_title(f"{title}: {word}", fontsize=10, fontweight="bold", loc="left")
    axis.set_title(f"HHI {now:.2f} to {then:.2f}", fontsize=9, loc="right", color="#5b6770")


if __name__ == "__main__":
    main()
