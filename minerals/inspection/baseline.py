"""The figures of the release served, which a new run is compared with before it takes its place.

Read from the release's own Parquet files, so that what is compared with is what users see. A
release of another profile, other importers or another window is no measure, nor is one that cannot
be read: the reason is said, and a refresh goes on without the comparison.
What change is tolerated is said in the suites of `expectations/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from minerals.errors import ReleaseError
from minerals.inspection.tables import Shape
from minerals.names import CATEGORIES, ESTIMATED, REGRESSORS, SE_CLUSTERED, STATUS_FREE
from minerals.releases import MANIFEST, ReleaseStore

SAME_SETTINGS = ("profile", "importers", "first_year", "last_year")
LIST = ("importer_iso3", "category", "mineral", "coefficient_source")
TERM = ("importer_iso3", "category", "term", "se_type")
_VALUES = [f"{category}_value_usd" for category in CATEGORIES]
_TOTALLED = [
    "exporter_iso3", "mineral", "production_kg", *_VALUES, *(f"{c}_qty_kg" for c in CATEGORIES),
    *REGRESSORS, *(f"is_imputed_{name}" for name in REGRESSORS),
]  # fmt: skip

Measure = tuple[dict[str, float] | None, str]
"""Figures to compare with, or None and the reason why there are none."""


@dataclass(frozen=True)
class Baseline:
    """The release to compare with; None, with the reason in `why_not`, when there is none.

    `top_k` is how many suppliers counted as leading in it.
    """

    folder: Path | None
    release_id: str | None
    why_not: str
    top_k: int | None = None

    def raw_trade(self) -> Measure:
        """All raw trade: rows, value, importers, years."""
        return self._figures(
            "select sum(n_rows) as n_rows, sum(value_usd)::double as value_usd, "
            "count(distinct importer_code) as n_importers, count(distinct year) as n_years "
            "from {trade_balance}"
        )

    def trade_flow(self) -> Measure:
        """Conformed trade: rows, value, quantity, importers."""
        return self._figures(
            "select sum(n_rows) as n_rows, sum(value_usd)::double as value_usd, "
            "sum(qty_kg) as qty_kg, count(distinct importer_iso3) as n_importers "
            "from {trade_balance} where disposition = 'conformed'"
        )

    def rows_of(self, dataset: str) -> Measure:
        """The rows of a raw dataset's snapshot."""
        return self._figures(
            "select sum(row_count) as n_rows from {source_snapshots} where dataset = $1", [dataset]
        )

    def panel(self) -> Measure:
        """The panel's figures, as `panel_totals` makes them of the panel of today."""
        old, why_not = self._frame(f"select {', '.join(_TOTALLED)} from {{import_panel}}")
        return (None if old is None else dict(panel_totals(old).iloc[0])), why_not

    def suppliers(self, panel: pd.DataFrame) -> Shape:
        """The suppliers of the release served: value before, share before, and value now."""
        columns = ", ".join(["importer_iso3", "exporter_iso3", *_VALUES])
        old, why_not = self._frame(f"select {columns} from {{import_panel}}")
        if old is None:
            return _nothing(why_not)
        before, now = _value_by_supplier(old), _value_by_supplier(panel)
        frame = before.to_frame("value_before_usd")
        frame["share_before"] = before / before.groupby("importer_iso3").transform("sum")
        frame["value_usd"] = now.reindex(before.index).fillna(0.0)
        frame["value_to_previous"] = frame["value_usd"] / frame["value_before_usd"]
        return _comparable(
            frame[before > 0].reset_index(), "nothing was imported in the release served"
        )

    def coefficients(self, terms: pd.DataFrame) -> Shape:
        """The covariates of our publishable models in the release served, beside what they are now.

        `terms` are the coefficients of today, with `is_publishable` of their models.
        """
        old, why_not = self._frame(
            "select importer_iso3, category, term, se_type, estimate, std_error, z_value, "
            "coefficient_source, term_type, status, is_publishable "
            "from {ppml_coefficients} as c join {ppml_fit} as f using (importer_iso3, category)"
        )
        if old is None:
            return _nothing(why_not)
        before, now = _covariates(old), _covariates(terms)
        frame = before[[*TERM, "estimate", "std_error", "z_value"]].merge(
            now[[*TERM, "estimate"]], on=list(TERM), how="left", suffixes=("_before", "")
        )
        frame["abs_z_before"] = frame["z_value"].abs()
        frame["move_in_se"] = (frame["estimate"] - frame["estimate_before"]) / frame["std_error"]
        # Without a model now there is no sign to keep; that it is gone is another rule's business.
        frame["keeps_its_sign"] = frame["estimate"].isna() | (
            frame["estimate"] * frame["estimate_before"] >= 0
        )
        return _comparable(frame, "the release served has no model of ours")

    def churn(self, forward: pd.DataFrame, top_k: int) -> Shape:
        """A row a list of the release served: the share of its leading suppliers that still lead.

        Lists of no more candidates than places say nothing and are left out.
        """
        old, why_not = self._frame(
            f"select {', '.join(LIST)}, exporter_iso3, forward_rank from {{ranking_forward}}"
        )
        if old is None:
            return _nothing(why_not)
        if self.top_k != top_k:
            return _nothing(f"the release served has another top_k ({self.top_k}, not {top_k})")
        sizes = old.groupby(list(LIST))["exporter_iso3"].transform("size")
        leading = old[(old["forward_rank"] <= top_k) & (sizes > top_k)]
        still = forward.loc[forward["forward_rank"] <= top_k, [*LIST, "exporter_iso3"]]
        judged = leading.merge(still, on=[*LIST, "exporter_iso3"], how="left", indicator=True)
        kept = (judged["_merge"] == "both").groupby([judged[c] for c in LIST]).mean()
        return _comparable(
            kept.rename("kept_share").reset_index(),
            f"no list of the release served has more candidates than the {top_k} that lead",
        )

    def _figures(self, sql: str, parameters: list[Any] | None = None) -> Measure:
        frame, why_not = self._frame(sql, parameters)
        if frame is None:
            return None, why_not
        if frame.isna().any(axis=None):
            return None, "the release served lacks the figure"
        return {str(name): float(value) for name, value in frame.iloc[0].items()}, ""

    def _frame(
        self, sql: str, parameters: list[Any] | None = None
    ) -> tuple[pd.DataFrame | None, str]:
        """What the release answers, or None and the reason why it cannot."""
        if self.folder is None:
            return None, self.why_not
        try:
            with duckdb.connect() as connection:
                return connection.execute(_over(self.folder, sql), parameters or []).df(), ""
        except KeyError as error:
            return None, _unreadable(f"it has no mart {error.args[0]}")
        except (duckdb.Error, OSError) as error:
            return None, _unreadable(str(error))


def read_baseline(store: ReleaseStore, settings: Mapping[str, Any]) -> Baseline:
    """The release served, if it is of the same profile, importers and window as `settings`."""
    folder = store.current()
    if folder is None:
        return Baseline(None, None, "there is no previous release to compare with")
    try:
        manifest = store.manifest() or {}
    except ReleaseError as error:
        return Baseline(None, folder.name, _unreadable(f"{MANIFEST}: {error.__cause__}"))
    before = manifest.get("settings", {})
    for name in SAME_SETTINGS:
        if _plain(before.get(name)) != _plain(settings[name]):
            why = (
                f"the release served has another {name} ({before.get(name)}, not {settings[name]})"
            )
            return Baseline(None, folder.name, why)
    return Baseline(folder, folder.name, "", before.get("top_k"))


def _unreadable(why: str) -> str:
    """The reason, of the first line of what was raised."""
    said = why.strip().partition("\n")[0].rstrip(".")
    return f"the release served cannot be read: {said}"


def _nothing(why_not: str) -> Shape:
    return Shape(pd.DataFrame(), why_not=why_not)


def _comparable(frame: pd.DataFrame, else_why: str) -> Shape:
    """The frame, or the reason why there is nothing to compare when it has no rows."""
    return Shape(frame, why_not=else_why if frame.empty else None)


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
    value = panel[_VALUES].sum(axis=1)
    return value.groupby([panel["importer_iso3"], panel["exporter_iso3"]]).sum()


def _covariates(coefficients: pd.DataFrame) -> pd.DataFrame:
    ours = coefficients["coefficient_source"] == ESTIMATED
    return coefficients[
        ours
        & coefficients["is_publishable"]
        & (coefficients["term_type"] == "covariate")
        & (coefficients["status"] == STATUS_FREE)
        & (coefficients["se_type"] == SE_CLUSTERED)
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
