"""Which model speaks for a market."""

from __future__ import annotations

import numpy as np
import pandas as pd

from minerals.names import ESTIMATED, MARKET, PUBLISHED, STUDY_IMPORTER, WORLD

OWN_IMPORTS = "our model, fitted on imports of this mineral among others"
STUDY_IMPORTS = (
    "the study's model: it observed imports of this mineral in this category, our data show none"
)
NO_IMPORTS = (
    "our model, fitted on other minerals: no import of this one was observed, so that only the "
    "order of its suppliers is known, not a quantity"
)
NO_MODEL = "the study's model: ours cannot be estimated or published for this category"

COULD_SUPPLY = (WORLD, ESTIMATED, PUBLISHED)
"""The models that say who could supply; `expected` says who will, and never leads."""
JUDGED_BY = {"new_supplier_auc": "AUC of new suppliers", "top_k_value_share": "later purchases"}


def with_headline(ranking_forward: pd.DataFrame, skill: pd.DataFrame) -> pd.DataFrame:
    """The ranking with `is_headline` and `headline_reason`: one model leads in each market.

    In a category that `ranking_skill` judges, the model that `best_model` names leads where it
    ranks the market. Elsewhere the first that holds: the estimated model, where imports of the
    mineral were observed (its effect is identified, so that predicted_qty_kg is known); the
    study's, where it observed them and the importer is the study's; the estimated; the study's.
    """
    source = ranking_forward["coefficient_source"]
    is_known = ranking_forward["predicted_qty_kg"].notna()
    keys = [ranking_forward[name] for name in MARKET]

    def any_of(condition: pd.Series) -> pd.Series:
        return condition.groupby(keys).transform("any")

    best = {c: best_model(skill, c) for c in ranking_forward["category"].unique()}
    model = ranking_forward["category"].map({c: found[0] for c, found in best.items()})
    why = ranking_forward["category"].map({c: found[1] for c, found in best.items()})
    is_studys = ranking_forward["importer_iso3"] == STUDY_IMPORTER
    cases = [
        any_of(source == model),
        any_of((source == ESTIMATED) & is_known),
        any_of((source == PUBLISHED) & is_known) & is_studys & any_of(source == ESTIMATED),
        any_of(source == ESTIMATED),
    ]
    leader = np.select(cases, [model, ESTIMATED, PUBLISHED, ESTIMATED], default=PUBLISHED)
    reason = np.select(cases, [why, OWN_IMPORTS, STUDY_IMPORTS, NO_IMPORTS], default=NO_MODEL)
    leads = source.to_numpy() == leader
    return ranking_forward.assign(is_headline=leads, headline_reason=np.where(leads, reason, ""))


def best_model(skill: pd.DataFrame, category: str) -> tuple[str, str]:
    """The model of who could supply that leads a category, and why; "" where none was judged.

    The rule: models are placed by how well they found new suppliers, and by the later purchases
    from the countries that they rank first, over the chosen importers' markets at the last origin;
    the best mean place leads, of equals the better finder of new suppliers.
    """
    is_in = (skill["category"] == category) & (skill["scope"] == "chosen_importers")
    wide = skill[is_in & skill["model"].isin(COULD_SUPPLY)].pivot(
        index="model", columns="metric", values="mean_score"
    )
    wide = wide.reindex(columns=list(JUDGED_BY)).dropna()
    if wide.empty:
        return "", ""
    places = wide.rank(ascending=False, method="min").mean(axis=1)
    order = pd.DataFrame({"place": places, "minus_auc": -wide["new_supplier_auc"]})
    order = order.sort_values(["place", "minus_auc"], kind="stable")
    auc, share = (wide.loc[order.index, metric] for metric in JUDGED_BY)
    finds = ", ".join(f"{name} {value:.2f}" for name, value in auc.items())
    buys = ", ".join(f"{name} {value:.0%}" for name, value in share.items())
    return str(order.index[0]), (
        f"the best of the models of who could supply in the backtest of {category}: new suppliers "
        f"found (AUC): {finds}; later purchases from those ranked first: {buys}"
    )
