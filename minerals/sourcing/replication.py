"""How near our covariates bring the study's own coefficients to the study's own ranking.

Belongs here: the comparison of the forward ranking by published coefficients with the printed one.
Does not belong here: our estimates; the scorecard needs no trade quantities.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from minerals.frames import Contract, empty, keep_contract, require_columns
from minerals.names import DEFAULT_TOP_K, PUBLISHED, STUDY_IMPORTER
from minerals.sourcing.ranking import (
    UNIDENTIFIED_BELOW,
    attractiveness,
    average_characteristics,
    coefficient_sets,
)

MIN_COMMON_FOR_RHO = 3
"""A rank correlation of fewer common suppliers than this is not reported."""

REPLICATION_SCORECARD = Contract(
    "replication_scorecard",
    {
        "category": "str",
        "mineral": "str",
        "n_candidates": "int64",
        "n_published": "int64",
        "n_common": "int64",
        "overlap_share": "float64",
        "spearman_rho": "float64",
        "is_top1_match": "bool",
    },
    key=("category", "mineral"),
)


def scorecard(
    panel: pd.DataFrame,
    published_coefficients: pd.DataFrame,
    published_ranking: pd.DataFrame,
    country_names: Mapping[str, str],
    top_k: int = DEFAULT_TOP_K,
) -> pd.DataFrame:
    """`replication_scorecard`: one row a category and mineral of the study's printed ranking.

    panel: `import_panel`; rows of India, by `average_characteristics`. published_coefficients:
    `ppml_coefficients`, of which India's of source published are used. published_ranking: category,
    mineral, rank, country. country_names: the study's names to ISO3.

    Candidates: producers and trading partners, but producers alone for minerals whose published
    effects are all below -20 (`producer_only_minerals`); and, of both, those whose GDP was observed
    in a year of the window at least: a median in its place says nothing of North Korea or New
    Caledonia (of such economies the study prints Cuba alone). overlap_share = common members of the
    two top-k lists over min(top_k, printed suppliers). spearman_rho: rank correlation over
    n_common, the printed suppliers that are candidates at all; null below three, or where
    undefined. n_candidates may be 0: then nothing of the printed list is met.

    Raises ValueError for a printed name that has no ISO3 code, naming it.
    """
    require_columns(published_ranking, ["category", "mineral", "rank", "country"], "the ranking")
    printed = published_ranking.assign(
        exporter_iso3=published_ranking["country"].map(country_names)
    )
    unknown = sorted(printed.loc[printed["exporter_iso3"].isna(), "country"].unique())
    if unknown:
        raise ValueError(f"no ISO3 code for the study's {', '.join(unknown)}; add a country alias")
    own = panel.loc[panel["importer_iso3"] == STUDY_IMPORTER]
    if own.empty or printed.empty:
        return empty(REPLICATION_SCORECARD)
    ranks = _replicated_ranks(own, published_coefficients)
    rows = [
        {"category": category, "mineral": mineral, **_compare(ours, theirs, top_k)}
        for (category, mineral), theirs in printed.groupby(["category", "mineral"], sort=True)
        for ours in [_select(ranks, str(category), str(mineral))]
    ]
    return keep_contract(pd.DataFrame(rows), REPLICATION_SCORECARD)


def producer_only_minerals(published_coefficients: pd.DataFrame) -> set[str]:
    """Minerals whose published effect is below -20 in every category: the study saw no import of
    them, and lists only their producers."""
    effects = published_coefficients.loc[
        (published_coefficients["coefficient_source"] == PUBLISHED)
        & (published_coefficients["term_type"] == "mineral")
    ]
    highest = effects.groupby("term")["estimate"].max()
    return {str(mineral) for mineral in highest.index[highest < UNIDENTIFIED_BELOW]}


def summary(scorecard_frame: pd.DataFrame, top_k: int = DEFAULT_TOP_K) -> pd.DataFrame:
    """Means per category over minerals with more candidates than top_k places.

    Columns: category, n_minerals, mean_overlap_share, mean_spearman_rho, top1_match_share.
    """
    chosen = scorecard_frame.loc[scorecard_frame["n_candidates"] > top_k]
    return chosen.groupby("category", as_index=False, sort=True).agg(
        n_minerals=("mineral", "size"),
        mean_overlap_share=("overlap_share", "mean"),
        mean_spearman_rho=("spearman_rho", "mean"),
        top1_match_share=("is_top1_match", "mean"),
    )


def _replicated_ranks(panel: pd.DataFrame, published_coefficients: pd.DataFrame) -> pd.DataFrame:
    """category, mineral, exporter_iso3, rank by the published coefficients, over our candidates."""
    require_columns(panel, ["is_producer", "is_imputed_ln_gdp"], "the panel")
    is_listed = panel["is_producer"] | ~panel["mineral"].isin(
        producer_only_minerals(published_coefficients)
    )
    has_gdp = ~panel.groupby("exporter_iso3")["is_imputed_ln_gdp"].transform("all")
    candidates = panel.loc[is_listed & has_gdp]
    frames = []
    for model in coefficient_sets(published_coefficients):
        if (model.importer, model.source) != (STUDY_IMPORTER, PUBLISHED):
            continue
        means = average_characteristics(candidates, list(model.regressors))
        ranked = means[["mineral", "exporter_iso3"]].assign(
            category=model.category, minus_score=-attractiveness(means, model)
        )
        ranked = ranked.sort_values(["mineral", "minus_score", "exporter_iso3"], kind="stable")
        frames.append(ranked.assign(rank=ranked.groupby("mineral").cumcount() + 1))
    return pd.concat(frames, ignore_index=True)


def _select(ranks: pd.DataFrame, category: str, mineral: str) -> pd.DataFrame:
    return ranks.loc[(ranks["category"] == category) & (ranks["mineral"] == mineral)]


def _compare(ours: pd.DataFrame, theirs: pd.DataFrame, top_k: int) -> dict[str, object]:
    our_rank = ours.set_index("exporter_iso3")["rank"]
    their_rank = theirs.set_index("exporter_iso3")["rank"].sort_values()
    their_top = their_rank.index[:top_k]
    our_top = our_rank.index[our_rank <= top_k]
    common = their_rank.index.intersection(our_rank.index)
    return {
        "n_candidates": len(our_rank),
        "n_published": len(their_rank),
        "n_common": len(common),
        "overlap_share": len(set(our_top) & set(their_top)) / min(top_k, len(their_rank)),
        "spearman_rho": _spearman(our_rank[common], their_rank[common]),
        "is_top1_match": bool(len(our_top)) and our_rank.idxmin() == their_rank.idxmin(),
    }


def _spearman(ours: pd.Series, theirs: pd.Series) -> float:
    """Pearson correlation of the ranks of ranks (no ties occur); NaN below three."""
    if len(ours) < MIN_COMMON_FOR_RHO:
        return float("nan")
    return float(np.corrcoef(ours.rank(), theirs.rank())[0, 1])
