"""How well the study's coefficients, applied to our covariates, reproduce its printed ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from minerals import marts
from minerals.characteristics import average_characteristics
from minerals.frames import require_columns
from minerals.names import PUBLISHED, STUDY_IMPORTER
from minerals.sourcing.ranking import (
    UNIDENTIFIED_BELOW,
    CoefficientSet,
    attractiveness,
    coefficient_sets,
)

_MARKET = ["category", "mineral"]
_SUPPLIER = [*_MARKET, "exporter_iso3"]
_OUR_FIT = (
    "n_observations",
    "pseudo_r2",
    "mean_dependent_kg",
    "sd_dependent_kg",
    "wald_chi2",
    "aic",
    "bic",
    "n_parameters",
    "total_kg",
)
MIN_COMMON_FOR_RHO = 3
"""A rank correlation of fewer common suppliers than this is not reported."""


def comparison(
    panel: pd.DataFrame,
    published_coefficients: pd.DataFrame,
    published_ranking: pd.DataFrame,
    country_names: Mapping[str, str],
    ranking_forward: pd.DataFrame,
    top_k: int,
) -> dict[str, pd.DataFrame]:
    """`published_rankings` (every printed place with our ranks), `replication_scorecard` and
    `replication_differences`, by name.

    panel: `import_panel`; rows of India, by `average_characteristics`. published_coefficients:
    `ppml_coefficients`, of which India's of source published are used. published_ranking: category,
    mineral, rank, country. country_names: the study's names to ISO3. ranking_forward: as served.

    Candidates: producers and trading partners, but producers alone for minerals whose published
    effects are all below -20 (`producer_only_minerals`). What is not observed adds nothing to a
    candidate's predictor (`without_imputed`). Raises ValueError for a printed name that has no ISO3
    code, naming it.
    """
    require_columns(published_ranking, [*_MARKET, "rank", "country"], "the ranking")
    printed = published_ranking.rename(columns={"country": "country_as_printed"})
    printed["exporter_iso3"] = printed["country_as_printed"].map(country_names)
    unknown = printed.loc[printed["exporter_iso3"].isna(), "country_as_printed"].unique()
    if len(unknown):
        names = ", ".join(sorted(unknown))
        raise ValueError(f"no ISO3 code for the study's {names}; add a country alias")
    is_served = (ranking_forward["importer_iso3"] == STUDY_IMPORTER) & (
        ranking_forward["coefficient_source"] == PUBLISHED
    )
    served = ranking_forward.loc[is_served, [*_SUPPLIER, "forward_rank"]]
    both = _side_by_side(panel, published_coefficients, printed)
    ranked = printed.merge(both[[*_SUPPLIER, "our_rank"]], how="left", on=_SUPPLIER)
    ranked = ranked.merge(served, how="left", on=_SUPPLIER)
    ranked = ranked.rename(columns={"forward_rank": "our_rank_as_served"})
    return {
        "published_rankings": marts.conform(ranked, "published_rankings"),
        "replication_scorecard": _scorecard(both, served, top_k),
        "replication_differences": _differences(both, top_k),
    }


def _scorecard(both: pd.DataFrame, served: pd.DataFrame, top_k: int) -> pd.DataFrame:
    """One row per category and mineral of the study's printed ranking."""
    if both.empty:
        return marts.empty("replication_scorecard")
    both = both.merge(served.merge(both[_MARKET].drop_duplicates()), how="outer", on=_SUPPLIER)
    rows = []
    for key, market in both.sort_values("published_rank").groupby(_MARKET, sort=True):
        is_top = market[["our_rank", "published_rank", "forward_rank"]] <= top_k
        common = market.dropna(subset=["our_rank", "published_rank"])
        places = min(top_k, market["published_rank"].count())
        row = {
            "n_candidates": market["our_rank"].count(),
            "n_published": market["published_rank"].count(),
            "n_common": len(common),
            "overlap_share": (is_top["our_rank"] & is_top["published_rank"]).sum() / places,
            # Of the ranks of ranks, in which no ties occur.
            "spearman_rho": common["our_rank"]
            .rank()
            .corr(common["published_rank"].rank(), min_periods=MIN_COMMON_FOR_RHO),
            "is_top1_match": market["our_rank"].iloc[0] == 1,
            "n_candidates_as_served": market["forward_rank"].count(),
            "overlap_share_as_served": (is_top["forward_rank"] & is_top["published_rank"]).sum()
            / places,
        }
        rows.append(dict(zip(_MARKET, key, strict=True)) | row)
    return marts.conform(pd.DataFrame(rows), "replication_scorecard")


def _differences(both: pd.DataFrame, top_k: int) -> pd.DataFrame:
    """The suppliers whose place in the printed list is not ours.

    driver: of the regressors' contributions b (x - median of the mineral's candidates), the most
    negative where we rank the supplier too low, else the most positive; null when none has that
    sign. It says what put the supplier where it is here, not that this figure is wrong.
    """
    if both.empty:
        return marts.empty("replication_differences")
    in_published, in_ours = both["published_rank"] <= top_k, both["our_rank"] <= top_k
    at_rank = both.dropna(subset="our_rank")[[*_MARKET, "our_rank", "score"]]
    at_rank = at_rank.rename(columns={"our_rank": "published_rank", "score": "score_at_rank"})
    both = both.assign(
        difference=np.select(
            [both["our_rank"].isna(), in_published & in_ours, in_ours],
            ["not_a_candidate", "other_rank", "ours_only"],
            default="printed_only",
        ),
        rank_difference=both["our_rank"] - both["published_rank"],
    ).merge(at_rank, how="left", on=[*_MARKET, "published_rank"], validate="many_to_one")
    both["predictor_gap"] = both["score_at_rank"] - both["score"]
    is_shown = (in_published | in_ours) & (both["our_rank"] != both["published_rank"])
    return marts.conform(_with_driver(both.loc[is_shown]), "replication_differences")


def fit_beside_ours(published_fit: pd.DataFrame, ppml_fit: pd.DataFrame) -> pd.DataFrame:
    """`published_fit`: the printed feet of Tables 2-4 (the seed) with our fit of the same importer.

    The criteria imply the parameters k: BIC - AIC = k (ln n - 2).
    """
    n = published_fit["n_observations"].astype("float64")
    printed = published_fit.assign(
        n_parameters_implied=(published_fit["bic"] - published_fit["aic"]) / (np.log(n) - 2.0),
        total_implied=n * published_fit["mean_dependent"],
        evidence_label="verified",
    )
    ours = ppml_fit.loc[ppml_fit["importer_iso3"] == STUDY_IMPORTER]
    ours = ours.assign(total_kg=ours["n_observations"] * ours["mean_dependent_kg"])
    ours = ours[["category", *_OUR_FIT]].rename(columns={name: f"our_{name}" for name in _OUR_FIT})
    return marts.conform(printed.merge(ours, how="left", on="category"), "published_fit")


def without_imputed(panel: pd.DataFrame, regressors: Sequence[str]) -> pd.DataFrame:
    """`panel` with 0 in place of every cell of `regressors` that is filled in, not observed.

    So the study seems to have treated gaps: its printed ranks agree best with a debt near 0 where
    the World Bank has none (docs/method.md). In a regressor that is a logarithm the 0 is the
    logarithm's. Only the study's own coefficients go with it: estimates need values that could be
    true.
    """
    require_columns(panel, [f"is_imputed_{name}" for name in regressors], "the panel")
    observed = {
        name: panel[name].astype("float64").mask(panel[f"is_imputed_{name}"].astype(bool), 0.0)
        for name in regressors
    }
    return panel.assign(**observed)


def producer_only_minerals(published_coefficients: pd.DataFrame) -> set[str]:
    """Minerals whose published effect is below -20 in every category: the study saw no import of
    them, and lists only their producers."""
    effects = published_coefficients.loc[
        (published_coefficients["coefficient_source"] == PUBLISHED)
        & (published_coefficients["term_type"] == "mineral")
    ]
    highest = effects.groupby("term")["estimate"].max()
    return {str(mineral) for mineral in highest.index[highest < UNIDENTIFIED_BELOW]}


def summary(scorecard_frame: pd.DataFrame, top_k: int) -> pd.DataFrame:
    """Means per category over minerals with more candidates than top_k places; `_as_served`: of the
    served ranking, over minerals with more candidates in it."""
    scored = scorecard_frame.loc[scorecard_frame["n_candidates"] > top_k].groupby("category")
    means = scored.agg(
        n_minerals=("mineral", "size"),
        mean_overlap_share=("overlap_share", "mean"),
        mean_spearman_rho=("spearman_rho", "mean"),
        top1_match_share=("is_top1_match", "mean"),
    )
    chosen = scorecard_frame.loc[scorecard_frame["n_candidates_as_served"] > top_k]
    as_served = chosen.groupby("category").agg(
        n_minerals_as_served=("mineral", "size"),
        mean_overlap_share_as_served=("overlap_share_as_served", "mean"),
    )
    return means.join(as_served).reset_index()


def _side_by_side(
    panel: pd.DataFrame, published_coefficients: pd.DataFrame, printed: pd.DataFrame
) -> pd.DataFrame:
    """The printed suppliers (published_rank) and our candidates (`_standings`) of each printed
    category and mineral; empty without the study's importer in the panel."""
    printed = printed[[*_SUPPLIER, "rank"]].rename(columns={"rank": "published_rank"})
    if printed.empty or not (panel["importer_iso3"] == STUDY_IMPORTER).any():
        return printed.iloc[:0].assign(our_rank=np.nan)
    ours = _standings(panel, published_coefficients).merge(printed[_MARKET].drop_duplicates())
    return printed.merge(ours, "outer", on=_SUPPLIER)


def _standings(panel: pd.DataFrame, published_coefficients: pd.DataFrame) -> pd.DataFrame:
    """Our candidates by the published coefficients: category, mineral, exporter_iso3, our_rank,
    score, and what explains them: driver_*, contribution_* (low and high), imputed_regressors."""
    is_listed = panel["is_producer"] | ~panel["mineral"].isin(
        producer_only_minerals(published_coefficients)
    )
    candidates = panel.loc[is_listed & (panel["importer_iso3"] == STUDY_IMPORTER)]
    frames = [
        _standing(candidates, model)
        for model in coefficient_sets(published_coefficients)
        if (model.importer, model.source) == (STUDY_IMPORTER, PUBLISHED)
    ]
    return pd.concat(frames, ignore_index=True)


def _standing(candidates: pd.DataFrame, model: CoefficientSet) -> pd.DataFrame:
    names = list(model.regressors)
    means = average_characteristics(without_imputed(candidates, names), names)
    weights = pd.Series(model.regressors)
    contributions = (means[names] - means.groupby("mineral")[names].transform("median")) * weights
    found = means[["mineral", "exporter_iso3"]].assign(
        category=model.category,
        score=attractiveness(means, model),
        driver_low=contributions.idxmin(axis=1),
        contribution_low=contributions.min(axis=1),
        driver_high=contributions.idxmax(axis=1),
        contribution_high=contributions.max(axis=1),
    )
    found = found.merge(_imputed(candidates, names), on=["mineral", "exporter_iso3"])
    order = {"mineral": True, "score": False, "exporter_iso3": True}
    found = found.sort_values(list(order), ascending=list(order.values()), ignore_index=True)
    return found.assign(our_rank=found.groupby("mineral").cumcount() + 1)


def _imputed(candidates: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """mineral, exporter_iso3, imputed_regressors: those filled in a year at least, by commas."""
    flags = candidates.groupby(["mineral", "exporter_iso3"])[
        [f"is_imputed_{name}" for name in names]
    ].any()
    named = [
        ", ".join(n for n, is_in in zip(names, row, strict=True) if is_in) for row in flags.values
    ]
    return flags[[]].assign(imputed_regressors=named).reset_index()


def _with_driver(rows: pd.DataFrame) -> pd.DataFrame:
    """The driver on the side that the difference is on, and whether it was observed."""
    is_too_low = rows["rank_difference"] > 0
    contribution = rows["contribution_low"].where(is_too_low, rows["contribution_high"])
    has_driver = (contribution < 0).where(is_too_low, contribution > 0)
    driver = rows["driver_low"].where(is_too_low, rows["driver_high"]).where(has_driver)
    is_imputed = [
        pd.NA if not has else name in names.split(", ")
        for has, name, names in zip(has_driver, driver, rows["imputed_regressors"], strict=True)
    ]
    return rows.assign(
        driver=driver,
        driver_contribution=contribution.where(has_driver),
        is_driver_imputed=pd.array(is_imputed, dtype="boolean"),
        imputed_regressors=rows["imputed_regressors"].replace("", np.nan),
    )
