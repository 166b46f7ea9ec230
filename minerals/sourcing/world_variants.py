"""The world model with what the study would add, never in its place: to what is between two
countries (dyads), and to the second stage, which scores who has not sold yet.

Dyads are judged as the world model is, by what importers, whose own purchases a score leaves out,
bought after past origins; the second stage by exporters left out. `ppml.variants` declares the
variants; what varies over neither has none here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from minerals.names import WORLD
from minerals.ppml import EstimationError
from minerals.ppml.design import Design
from minerals.ppml.estimator import Fit
from minerals.ppml.gravity import FloatArray, Gravity
from minerals.ppml.variants import VARIANTS, Variant, conditions_of, left_out_predictions, verdict
from minerals.sourcing.backtest import Foretold, interval, judge
from minerals.sourcing.supply import CHARACTERISTICS, Supply, fit_effects, known_effects
from minerals.sourcing.world import Pairs, Window, candidates

DYADS, SECOND_STAGE = "dyads", "second_stage"
_OF_PAIRS = ("alignment", "agreements")
_OF_EXPORTERS = ("refined", "logistics", "risk", "ores_metals_exports")
_MIN_VOTE_YEARS = 3  # of a window, for origins that variants of dyads are judged at
_FOLDS = 5


@dataclass(frozen=True)
class Ties:
    """What the variants of dyads add. votes: `country_alignment_and_logistics`; agreements,
    parties: `register_of_agreements`, `register_of_agreement_parties`."""

    votes: pd.DataFrame
    agreements: pd.DataFrame
    parties: pd.DataFrame

    def of_pairs(self, countries: Sequence[str], first: int, last: int) -> dict[str, FloatArray]:
        """(N, N) of each variant of dyads in a window of years, NaN where unknown; none when fewer
        than three of its years have votes."""
        votes = self.votes.dropna(subset=["ideal_point"])
        votes = votes[votes["year"].between(first, last)]
        if votes["year"].nunique() < _MIN_VOTE_YEARS:
            return {}
        points = votes.groupby("country_iso3")["ideal_point"].mean().reindex(list(countries))
        point = points.to_numpy(dtype=np.float64)
        return {
            "alignment": np.abs(point[:, None] - point),
            "agreements": self._n_agreements(countries, last),
        }

    def _n_agreements(self, countries: Sequence[str], last: int) -> FloatArray:
        """Agreements in force between two countries at the end of a year; one without a date
        counts. Those with a hub bind it with each of the others alone."""
        begun = pd.to_datetime(
            self.agreements["in_force_date"].fillna(self.agreements["signed_date"])
        )
        is_counted = (self.agreements["status"] == "in_force") & ~(begun.dt.year > last)
        found = np.zeros((len(countries), len(countries)))
        for row in self.agreements[is_counted].itertuples():
            members = self.parties.loc[
                self.parties["agreement_id"] == row.agreement_id, "country_iso3"
            ]
            is_member = np.isin(countries, list(members))
            bound = np.outer(is_member, is_member)
            if isinstance(row.hub_iso3, str):
                is_hub = np.array(countries) == row.hub_iso3
                bound &= is_hub[:, None] | is_hub
            found += bound
        return found


@dataclass(frozen=True)
class Added:
    """What the variants of the second stage add. attributes: `int_country__attributes`; types:
    `supplier_types`."""

    attributes: pd.DataFrame
    types: pd.DataFrame

    def of_exporters(
        self, supply: Supply, minerals: Sequence[str], countries: Sequence[str]
    ) -> dict[str, FloatArray]:
        """(M, N) of each regressor of the second stage's variants, NaN where unknown."""
        of_country = self.attributes.set_index("country_iso3").reindex(list(countries))
        found = {
            name: np.broadcast_to(
                of_country[name].to_numpy(dtype=np.float64), supply.production_kg.shape
            )
            for variant in _declared(_OF_EXPORTERS)
            for name in variant.adds
            if name in of_country
        }
        products = self.types[self.types["category"] == "products"]
        kg = products.set_index(["mineral", "exporter_iso3"])["refined_output_kg"]
        index = pd.MultiIndex.from_product([minerals, countries])
        refined = kg.reindex(index).to_numpy(dtype=np.float64).reshape(supply.production_kg.shape)
        return found | {"ln_refined_qty": np.log1p(refined)}


def _declared(names: Sequence[str]) -> list[Variant]:
    return [variant for variant in VARIANTS if variant.name in names]


@dataclass(frozen=True)
class Dyads:
    """At some origins: rows of `judge` by variant (`model`; the base is the world model), and the
    added slope of each variant in the model of value."""

    judged: pd.DataFrame
    slopes: pd.DataFrame


def try_dyads(
    foretold: Foretold, pairs: Pairs, ties: Ties, later: FloatArray, top_k: int
) -> Dyads | None:
    """The variants of dyads at one origin, judged by what was bought after it; with the weights of
    the features that the base has. None where there are none, or none can be estimated."""
    base = foretold.window
    models, slopes = {WORLD: foretold.shares[WORLD]}, []
    for name, known in ties.of_pairs(base.trade.countries, base.first, base.last).items():
        between = ~np.eye(len(known), dtype=bool)
        x = np.where(np.isnan(known), np.nanmean(known[between]), known) * between
        starts = [np.append(model.slopes, 0.0) for model in (base.any_trade, base.value)]
        try:
            wider = replace(pairs, x=np.concatenate([pairs.x, x[None]]))
            window = Window.of(base.trade, wider, base.first, base.last, (starts[0], starts[1]))
        except EstimationError:
            continue
        weights = foretold.learnt.weights
        models[name] = weights.shares(window.features, candidates(window.bought))
        slopes.append(
            {
                "variant": name,
                "origin_year": base.last,
                "estimate": window.value.slopes[-1],
                "std_error": np.sqrt(window.value.cov[-1, -1]),
                "observed_share": np.isfinite(known[between]).mean(),
            }
        )
    if not slopes:
        return None
    judged = judge(base.trade, base.last, models, later, (), top_k)
    return Dyads(judged, pd.DataFrame(slopes))


def dyad_rows(category: str, tried: Sequence[Dyads], seed: int) -> Iterator[dict[str, object]]:
    """Rows of `world_variants`: does a variant lower the divergence of what importers bought?"""
    judged = pd.concat([t.judged for t in tried]) if tried else pd.DataFrame()
    slopes = pd.concat([t.slopes for t in tried]) if tried else pd.DataFrame()
    for variant in _declared(_OF_PAIRS):
        ((term, sign),) = variant.adds.items()
        row = _row(category, DYADS, variant, term, sign)
        own = slopes[slopes["variant"] == variant.name] if tried else slopes
        if own.empty:
            reason = f"no past origin has {_MIN_VOTE_YEARS} years of votes, or it is not identified"
            yield row | {"reason": reason}
            continue
        key = ["importer_iso3", "mineral", "origin_year"]
        kl = judged.set_index([*key, "model"])["kl_divergence"].unstack()
        compared = _compare(kl[variant.name], kl[WORLD], "importer_iso3", seed)
        last = own.sort_values("origin_year").iloc[-1]
        is_as_expected = bool((own["estimate"] * sign > 0).all())
        yield (
            row
            | _judged(compared, {"sign": is_as_expected})
            | {
                "estimate": last["estimate"],
                "std_error": last["std_error"],
                "observed_share": last["observed_share"],
            }
        )


def second_stage_rows(
    category: str,
    model: Gravity,
    supply: Supply,
    added: Added,
    minerals: Sequence[str],
    countries: Sequence[str],
    seed: int,
) -> Iterator[dict[str, object]]:
    """Rows of `world_variants`: does a variant foretell the effects of exporters left out?

    Exporters in five parts, by their place in the alphabet; divergence of the effects of a part's
    exporters, mineral by mineral, from what the fit of the other parts predicts.
    """
    frame, m, j = known_effects(model, supply)
    extra = added.of_exporters(supply, minerals, countries)
    base: pd.Series | str
    try:
        base = _divergence(*fit_effects(frame, CHARACTERISTICS))
    except EstimationError as error:
        base = str(error)
    for variant in _declared(_OF_EXPORTERS):
        if category not in variant.categories:
            continue
        rows = [
            _row(category, SECOND_STAGE, variant, term, sign) for term, sign in variant.adds.items()
        ]
        known = {term: extra[term][m, j] for term in variant.adds}
        is_known = np.all([np.isfinite(values) for values in known.values()], axis=0)
        filled = {
            term: np.where(np.isfinite(values), values, _standing_in(term, values, frame))
            for term, values in known.items()
        }
        kept = [name for name in CHARACTERISTICS if name not in variant.replaces]
        try:
            if isinstance(base, str):
                raise EstimationError(base)
            if not is_known.any():
                raise EstimationError(f"the data hold no {', '.join(known)} of any exporter")
            design, fit = fit_effects(frame.assign(**filled), (*kept, *known))
            if missing := [term for term in known if term not in design.covariates]:
                raise EstimationError(f"{', '.join(missing)} varies only with other regressors")
        except EstimationError as error:
            yield from (row | {"reason": str(error)} for row in rows)
            continue
        places = [design.covariates.index(term) for term in known]
        estimate = fit.coefficients[places]
        std_error = np.sqrt(np.diag(fit.cov_clustered)[places])
        conditions, _ = conditions_of(design, fit, variant.adds)
        compared = _compare(_divergence(design, fit), base, "mineral", seed)
        judged = _judged(compared, conditions) | {"observed_share": is_known.mean()}
        for row, value, width in zip(rows, estimate, std_error, strict=True):
            yield row | judged | {"estimate": value, "std_error": width}


def _standing_in(term: str, values: FloatArray, frame: pd.DataFrame) -> FloatArray:
    """For an unknown value: mine output for refined output, else the median."""
    if term == "ln_refined_qty":
        return frame["ln_production_qty"].to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]
    return np.full(len(values), np.median(known) if len(known) else np.nan)


def _divergence(design: Design, fit: Fit) -> pd.Series:
    """Of the effects of exporters left out, by mineral and part of the exporters: sum p ln(p/q)."""
    parts = np.array([int(name) % _FOLDS for name in design.clusters.names])
    minerals = design.columns.codes[0]
    names = [t.name for t in (*design.terms, *design.base_levels) if t.term_type == "mineral"]
    found = {}
    for part, told, eta in left_out_predictions(design, fit, parts[design.clusters.codes]):
        for mineral in np.unique(minerals[told]):
            of = minerals[told] == mineral
            y, q = design.y[told][of], np.exp(eta[of] - eta[of].max())
            if of.sum() > 1 and y.sum() > 0:
                p, q = y / y.sum(), q / q.sum()
                bought = p > 0
                found[names[mineral], part] = float(p[bought] @ np.log(p[bought] / q[bought]))
    return pd.Series(found).rename_axis(["mineral", "part"])


def _compare(own: pd.Series, base: pd.Series, cluster: str, seed: int) -> dict[str, object]:
    """Mean divergences and their difference, with a 90% interval by clusters; and how many of the
    clusters are better with the variant."""
    both = pd.DataFrame({"own": own, "base": base}).dropna()
    difference = both["own"] - both["base"]
    clusters = both.index.get_level_values(cluster)
    found = interval(difference.to_numpy(), pd.Series(clusters), seed)
    of_cluster = difference.groupby(clusters).mean()
    return {
        "kl_divergence": both["own"].mean(),
        "kl_divergence_base": both["base"].mean(),
        "difference_to_base": found["difference_to_past"],
        "conf_low": found["conf_low"],
        "conf_high": found["conf_high"],
        "n_left_out": len(of_cluster),
        "n_better_than_base": int((of_cluster < 0).sum()),
    }


def _row(category: str, part: str, variant: Variant, term: str, sign: int) -> dict[str, object]:
    return {
        "category": category,
        "part": part,
        "variant": variant.name,
        "term": term,
        "expected_sign": "+" if sign > 0 else "-",
        "is_supported": False,
        "caution": variant.caution,
        "reason": None,
    }


def _judged(compared: Mapping[str, object], conditions: Mapping[str, bool]) -> dict[str, object]:
    """The row's comparison, and whether all conditions hold, being better the last."""
    is_better = bool(compared["conf_high"] < 0)  # type: ignore[operator]
    return {**compared, **verdict({**conditions, "left out": is_better})}
