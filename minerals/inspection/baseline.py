"""The figures of the release served, which a new run is compared with before it takes its place.

Read from the release's own Parquet files, so that what is compared with is what users see. A
release of another profile, other importers or another window is no measure, and the reason is said.
What change is tolerated is said in the suites of `expectations/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from minerals.names import CATEGORIES, ESTIMATED, REGRESSORS
from minerals.releases import ReleaseStore

SAME_SETTINGS = ("profile", "importers", "first_year", "last_year", "top_k")
LIST = ("importer_iso3", "category", "mineral", "coefficient_source")
TERM = ("importer_iso3", "category", "term", "se_type")


@dataclass(frozen=True)
class Baseline:
    """The release to compare with; None, with the reason in `why_not`, when there is none."""

    folder: Path | None
    release_id: str | None
    why_not: str

    def raw_trade(self) -> dict[str, float] | None:
        """All raw trade: rows, value, importers, years."""
        return self._figures(
            "select sum(n_rows) as n_rows, sum(value_usd)::double as value_usd, "
            "count(distinct importer_code) as n_importers, count(distinct year) as n_years "
            "from {trade_balance}"
        )

    def trade_flow(self) -> dict[str, float] | None:
        """Conformed trade: rows, value, quantity, importers."""
        return self._figures(
            "select sum(n_rows) as n_rows, sum(value_usd)::double as value_usd, "
            "sum(qty_kg) as qty_kg, count(distinct importer_iso3) as n_importers "
            "from {trade_balance} where disposition = 'conformed'"
        )

    def rows_of(self, dataset: str) -> dict[str, float] | None:
        """The rows of a raw dataset's snapshot."""
        return self._figures(
            "select sum(row_count) as n_rows from {source_snapshots} where dataset = $1", [dataset]
        )

    def panel(self) -> dict[str, float] | None:
        """The panel's figures, as `panel_totals` makes them of the panel of today."""
        old = self._frame("select * from {import_panel}")
        return None if old is None else dict(panel_totals(old).iloc[0])

    def suppliers(self, panel: pd.DataFrame) -> pd.DataFrame | None:
        """The suppliers of the release served: value before, share before, and value now."""
        old = self._frame("select * from {import_panel}")
        if old is None:
            return None
        before, now = _value_by_supplier(old), _value_by_supplier(panel)
        frame = before.to_frame("value_before_usd")
        frame["share_before"] = before / before.groupby("importer_iso3").transform("sum")
        frame["value_usd"] = now.reindex(before.index).fillna(0.0)
        frame["value_to_previous"] = frame["value_usd"] / frame["value_before_usd"]
        return frame[before > 0].reset_index()

    def coefficients(self, coefficients: pd.DataFrame) -> pd.DataFrame | None:
        """The covariates of our models in the release served, beside what they are now."""
        old = self._frame("select * from {ppml_coefficients}")
        if old is None:
            return None
        before, now = _covariates(old), _covariates(coefficients)
        frame = before[[*TERM, "estimate", "std_error", "z_value"]].merge(
            now[[*TERM, "estimate"]], on=list(TERM), how="left", suffixes=("_before", "")
        )
        frame["abs_z_before"] = frame["z_value"].abs()
        frame["move_in_se"] = (frame["estimate"] - frame["estimate_before"]) / frame["std_error"]
        # Without a model now there is no sign to keep; that it is gone is another rule's business.
        frame["keeps_its_sign"] = frame["estimate"].isna() | (
            frame["estimate"] * frame["estimate_before"] >= 0
        )
        return frame

    def churn(self, forward: pd.DataFrame, top_k: int) -> pd.DataFrame | None:
        """A row a list of the release served: the share of its leading suppliers that still lead.

        Lists of no more candidates than places say nothing and are left out.
        """
        old = self._frame("select * from {ranking_forward}")
        if old is None:
            return None
        sizes = old.groupby(list(LIST))["exporter_iso3"].transform("size")
        leading = old[(old["forward_rank"] <= top_k) & (sizes > top_k)]
        still = forward.loc[forward["forward_rank"] <= top_k, [*LIST, "exporter_iso3"]]
        judged = leading.merge(still, on=[*LIST, "exporter_iso3"], how="left", indicator=True)
        kept = (judged["_merge"] == "both").groupby([judged[c] for c in LIST]).mean()
        return kept.rename("kept_share").reset_index()

    def _figures(self, sql: str, parameters: list[Any] | None = None) -> dict[str, float] | None:
        frame = self._frame(sql, parameters)
        if frame is None:
            return None
        return {str(name): float(value) for name, value in frame.iloc[0].items()}

    def _frame(self, sql: str, parameters: list[Any] | None = None) -> pd.DataFrame | None:
        if self.folder is None:
            return None
        with duckdb.connect() as connection:
            return connection.execute(_over(self.folder, sql), parameters or []).df()


def read_baseline(store: ReleaseStore, settings: Mapping[str, Any]) -> Baseline:
    """The release served, if it is of the same profile, importers and window as `settings`."""
    folder = store.current()
    manifest = store.manifest() if folder is not None else None
    if folder is None or manifest is None:
        return Baseline(None, None, "there is no previous release to compare with")
    before = manifest.get("settings", {})
    for name in SAME_SETTINGS:
        if _plain(before.get(name)) != _plain(settings[name]):
            why = (
                f"the release served has another {name} ({before.get(name)}, not {settings[name]})"
            )
            return Baseline(None, str(manifest["release_id"]), why)
    return Baseline(folder, str(manifest["release_id"]), "")


def panel_totals(panel: pd.DataFrame) -> pd.DataFrame:
    """One row: the panel's size, its trade and production, and each regressor's median of the
    observed values."""
    figures: dict[str, float] = {
        "n_rows": len(panel),
        "n_suppliers": panel["exporter_iso3"].nunique(),
        "n_minerals": panel["mineral"].nunique(),
        "import_value_usd": float(panel[[f"{c}_value_usd" for c in CATEGORIES]].sum().sum()),
        "import_qty_kg": float(panel[[f"{c}_qty_kg" for c in CATEGORIES]].sum().sum()),
        "production_kg": float(panel["production_kg"].sum()),
    }
    for name in REGRESSORS:
        figures[f"median_{name}"] = float(panel.loc[~panel[f"is_imputed_{name}"], name].median())
    return pd.DataFrame([figures]).astype(float)


def with_candidates(ranking: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """A ranking with the number of candidates of each of its lists."""
    return ranking.assign(n_candidates=ranking.groupby(by)["exporter_iso3"].transform("size"))


def _value_by_supplier(panel: pd.DataFrame) -> pd.Series:
    value = panel[[f"{category}_value_usd" for category in CATEGORIES]].sum(axis=1)
    return value.groupby([panel["importer_iso3"], panel["exporter_iso3"]]).sum()


def _covariates(coefficients: pd.DataFrame) -> pd.DataFrame:
    ours = coefficients["coefficient_source"] == ESTIMATED
    return coefficients[
        ours
        & (coefficients["term_type"] == "covariate")
        & (coefficients["status"] == "free")
        & (coefficients["se_type"] == "clustered_exporter")
    ]


def _over(folder: Path, sql: str) -> str:
    """`sql` with each {mart} read from the release's Parquet file."""
    quoted = str(folder).replace("'", "''")
    names = {
        file.stem: f"read_parquet('{quoted}/{file.name}')" for file in folder.glob("*.parquet")
    }
    return sql.format_map(names)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
