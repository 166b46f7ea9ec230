"""Draws docs/figures/forward_ranking.png from the served release: `make figures`."""

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
BLUE, GREY, ORANGE = "#1f5a96", "#b8c2cc", "#d9822b"
SUPPLIERS = 10
COUNTRIES = str(Settings().seeds_dir / "countries.csv")


def main() -> None:
    marts = duckdb.connect(str(Settings().serving_database), read_only=True)
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.4), constrained_layout=True)
    for axis, (mineral, category) in zip(axes.flat, PANELS, strict=True):
        rows = marts.execute(
            """
            select *
            from marts.ranking_forward
            inner join read_csv(?) on iso3 = exporter_iso3
            where importer_iso3 = 'IND' and mineral = ? and category = ?
                and coefficient_source = 'estimated' and forward_rank <= ?
            order by forward_rank
            """,
            [COUNTRIES, mineral, category, SUPPLIERS],
        ).df()
        draw(axis, rows, f"{mineral}, {category}")
    figure.suptitle(
        "India's suppliers as our model ranks them, 2019-2023\n"
        "dot: rank; line: 90% interval of the rank; grey bar: share of actual imports",
        fontsize=11,
    )
    target = Path(__file__).with_suffix(".png")
    figure.savefig(target, dpi=110)


def draw(axis: plt.Axes, rows, title: str) -> None:
    """One mineral: suppliers downwards by rank, intervals as lines, actual shares as bars."""
    positions = range(len(rows))
    shares = axis.twiny()
    shares.barh(positions, rows["actual_share"].fillna(0) * 100, color=GREY, height=0.7, zorder=1)
    shares.set_xlim(0, 100)
    shares.set_xlabel("share of actual imports, %", fontsize=8, color="#5b6770")
    shares.tick_params(labelsize=8, colors="#5b6770")
    axis.set_zorder(shares.get_zorder() + 1)
    axis.patch.set_visible(False)
    axis.hlines(positions, rows["rank_low"], rows["rank_high"], color=BLUE, linewidth=2, zorder=3)
    axis.plot(rows["forward_rank"], positions, "o", color=ORANGE, markersize=6, zorder=4)
    axis.set_yticks(list(positions), rows["name"], fontsize=9)
    axis.invert_yaxis()
    axis.set_xlim(0.5, max(25, rows["rank_high"].max() + 1))
    axis.set_xlabel("forward rank", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_title(title, fontsize=10, fontweight="bold", loc="left")


if __name__ == "__main__":
    main()
