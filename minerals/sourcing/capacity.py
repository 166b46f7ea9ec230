"""How much a supplier can deliver to an importer."""

from collections.abc import Sequence

import pandas as pd

from minerals.names import CATEGORIES, SUPPLIER, quantity_column
from minerals.shares import part_of_total, years_of_importers

_OF_TYPE = ["exporter_iso3", "mineral", "category"]
_TAKEN = ["supplier_type", "net_exports_qty_kg", "refined_output_kg"]
_PAIR = ["importer_iso3", "mineral", "exporter_iso3"]


def capacity(
    panel: pd.DataFrame,
    candidates: pd.DataFrame,
    types: pd.DataFrame,
    fraction: float,
    excluded: Sequence[str] = (),
) -> pd.DataFrame:
    """Today's quantity and the ceiling of each candidate, kg a year, per category.

    candidates: rows of `names.SUPPLIER`. One that is not in `panel` neither produced the mineral
    nor sold any of it to the importer in its years there. types: `supplier_types`; a candidate that
    it lacks is of type 'unknown'.

    annual_qty_kg, n_unknown_qty, doubtful_qty_kg: as in `portfolio_partners`; demand_qty_kg is the
    sum of annual_qty_kg over suppliers, and actual_share the part of it, null without demand.

    capacity_qty_kg, where production is known: max(`fraction` of mean production, the largest
    quantity of a year); a supplier that has delivered more than its mines would allow refines or
    trades what others mined. Known is production of a mineral that World Mining Data covers, in
    ores for every country (zero where it reports none), in products for countries that mine, since
    others may refine; never in scrap. Else it is null. In products, refined output
    (refined_output_kg of `types`) takes the place of production where it is known. A hub, which
    makes nothing, has its net exports as capacity, or what it sells the importer today if that is
    more: a portfolio may leave a hub, but a ceiling below today's purchases could force more change
    than is allowed. Production is contained metal, imports are gross weight, so that ceilings of
    ores are conservative.

    headroom_qty_kg = capacity - annual; where capacity is null, the largest year's quantity
    - annual. Both are zero for exporters in `excluded` (is_excluded).
    """
    known = candidates[SUPPLIER].drop_duplicates()
    frames = [
        _of_category(panel, known.loc[known["category"] == category], category, fraction)
        for category in CATEGORIES
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.merge(
        types[[*_OF_TYPE, *_TAKEN]], how="left", on=_OF_TYPE, validate="many_to_one"
    )
    frame["supplier_type"] = frame["supplier_type"].fillna("unknown")
    refines = (frame["category"] == "products") & (frame["refined_output_kg"] > 0)
    refined = (fraction * frame["refined_output_kg"]).clip(lower=frame["largest_kg"])
    frame["capacity_qty_kg"] = frame["capacity_qty_kg"].mask(refines, refined)
    is_hub = frame["supplier_type"] == "hub"
    frame["capacity_qty_kg"] = frame["capacity_qty_kg"].mask(
        is_hub, frame[["net_exports_qty_kg", "annual_qty_kg"]].max(axis=1)
    )
    frame["headroom_qty_kg"] = (
        frame["capacity_qty_kg"].fillna(frame["largest_kg"]) - frame["annual_qty_kg"]
    ).clip(lower=0.0)
    frame["is_excluded"] = frame["exporter_iso3"].isin(list(excluded))
    frame.loc[frame["is_excluded"], ["capacity_qty_kg", "headroom_qty_kg"]] = 0.0
    return frame


def _of_category(
    panel: pd.DataFrame, candidates: pd.DataFrame, category: str, fraction: float
) -> pd.DataFrame:
    quantity = quantity_column(category)
    groups = panel.assign(is_unknown=panel[quantity].isna()).groupby(_PAIR, sort=True)
    frame = groups.agg(
        annual_qty_kg=(quantity, "sum"),
        largest_kg=(quantity, "max"),
        mean_production_kg=("production_kg", "mean"),
        has_production_data=("has_production_data", "max"),
        n_unknown_qty=("is_unknown", "sum"),
        doubtful_qty_kg=(f"{category}_estimated_qty_kg", "sum"),
    ).reset_index()
    n_years = frame["importer_iso3"].map(years_of_importers(panel))
    yearly = ["annual_qty_kg", "doubtful_qty_kg"]
    frame[yearly] = frame[yearly].div(n_years, axis=0)
    frame = frame.merge(candidates[_PAIR], how="outer", on=_PAIR)
    covered = frame.groupby("mineral")["has_production_data"].transform("max")
    frame["has_production_data"] = covered.fillna(value=False)
    absent = dict.fromkeys(("annual_qty_kg", "mean_production_kg", "n_unknown_qty"), 0)
    frame = frame.fillna({**absent, "doubtful_qty_kg": 0})
    market = [frame["importer_iso3"], frame["mineral"]]
    frame["demand_qty_kg"] = frame["annual_qty_kg"].groupby(market).transform("sum")
    frame["actual_share"] = part_of_total(frame["annual_qty_kg"], market)
    frame["largest_kg"] = frame["largest_kg"].fillna(0.0)
    ceiling = (fraction * frame["mean_production_kg"]).clip(lower=frame["largest_kg"])
    is_covered = frame["has_production_data"].astype(bool)
    is_known = {
        "ores": is_covered,
        "products": is_covered & (frame["mean_production_kg"] > 0),
        "scrap": is_covered & False,  # it comes from use, not from mines
    }
    frame["capacity_qty_kg"] = ceiling.where(is_known[category])
    return frame.assign(category=category)
