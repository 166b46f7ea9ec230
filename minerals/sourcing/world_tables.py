"""The tables of the world and expected models: their rankings of each importer's suppliers with
intervals, their coefficients, the backtest of all models and its skill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from joblib import Memory
from numpy.typing import NDArray

from minerals import marts
from minerals.characteristics import average_characteristics
from minerals.names import ESTIMATED, EXPECTED, MARKET, PUBLISHED, REGRESSORS, SUPPLIER, WORLD
from minerals.ppml import EstimationError
from minerals.ppml.design import build_design, study_spec
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.gravity import FloatArray, Gravity, ease_of, effects_given
from minerals.ppml.variants import scores_of
from minerals.ranks import effective_k, rank_evidence
from minerals.settings import Choices
from minerals.shares import imports_long, window_imports
from minerals.sourcing.alignment import beside_actual
from minerals.sourcing.backtest import Foretold, Learnt, foretell, judge, roll, skill
from minerals.sourcing.expected import (
    COMPONENTS,
    FROM_SUPPLIERS,
    components,
    expected_shares,
    group_of,
)
from minerals.sourcing.ranking import (
    FROM_CHARACTERISTICS,
    FROM_TRADE,
    attractiveness,
    coefficient_sets,
)
from minerals.sourcing.supply import Supply, predicted_effects
from minerals.sourcing.world import (
    FEATURES,
    MIN_IMPORTERS,
    TEST_YEARS,
    Pairs,
    Trade,
    candidates,
    log_score,
    shares,
    stacked_features,
)
from minerals.sourcing.world import REGRESSORS as PAIR_REGRESSORS
from minerals.sourcing.world_variants import (
    Added,
    Dyads,
    Ties,
    dyad_rows,
    second_stage_rows,
    try_dyads,
)

FORGETFUL = Memory(None)
_ROUNDS = 6  # of the closed form of the effects in a sample; they start from the fit's own


@dataclass(frozen=True)
class OfPast:
    """What the models see of the past. flows: `fct_trade_flow` of all importers and years. pairs:
    `dim_country_pair`. production: `fct_production` of the window. ties: what the variants of dyads
    add; without it there are none."""

    flows: pd.DataFrame
    pairs: pd.DataFrame
    production: pd.DataFrame
    ties: Ties | None

    def trade(self, importers: Sequence[str]) -> tuple[Pairs, dict[str, Trade]]:
        """The pairs of all countries, and the trade of each category."""
        flows = self.flows[self.flows["value_usd"] > 0]
        producers = self.production.loc[self.production["production_kg"] > 0, "country_iso3"]
        traders = (flows["importer_iso3"], flows["exporter_iso3"], producers)
        countries = sorted(set(importers).union(*(column.unique() for column in traders)))
        categories = sorted(flows["category"].unique())
        trade = {category: Trade.of(flows, category, countries) for category in categories}
        return Pairs.of(self.pairs, countries), trade


@dataclass(frozen=True)
class Inputs:
    """What the models see. covariates: `fct_country_covariates`, of the window. panel:
    `import_panel`. published: the study's rows of `ppml_coefficients`. added: what the variants of
    the second stage add; without it, or without ties, there are no variants."""

    past: OfPast
    covariates: pd.DataFrame
    panel: pd.DataFrame
    published: pd.DataFrame
    added: Added | None = None


@dataclass(frozen=True)
class Served:
    """Rows of `ranking_forward` and `ranking_annual` of some importers."""

    forward: pd.DataFrame
    annual: pd.DataFrame

    def of(self, importers: Sequence[str]) -> Served:
        """The rows of some of them."""
        parts = (self.forward, self.annual)
        return Served(*(part[part["importer_iso3"].isin(list(importers))] for part in parts))


@dataclass(frozen=True)
class World:
    """The models of every category as they stand at the end of the window, and four marts about
    them. without: why a category has no model, by category."""

    without: Mapping[str, str]
    models: Sequence[tuple[Foretold, Supply]]
    coefficients: pd.DataFrame
    backtest: pd.DataFrame
    skill: pd.DataFrame
    variants: pd.DataFrame

    def served(self, panel: pd.DataFrame, importers: Sequence[str], choices: Choices) -> Served:
        """The rankings of some importers; `panel` is theirs."""
        if not self.models:
            return Served(marts.empty("ranking_forward"), marts.empty("ranking_annual"))

        def of(model: tuple[Foretold, Supply]) -> Served:
            served = _Served.of(*model, importers)
            return Served(served.forward(panel, choices), served.annual(panel, choices.top_k))

        with ThreadPoolExecutor() as pool:
            made = list(pool.map(of, self.models))
        return Served(
            pd.concat([part.forward for part in made], ignore_index=True),
            pd.concat([part.annual for part in made], ignore_index=True),
        )


def fit_world(
    inputs: Inputs, importers: Sequence[str], choices: Choices, memory: Memory = FORGETFUL
) -> World:
    """Fit and judge the models of every category, each in a thread of its own. What past origins
    say is taken from `memory` as long as all that it rests on is unchanged.

    A category in which fewer than 30 countries import (as when only the trade of the chosen
    importers is at hand), whose trade cannot be estimated, or that no origin can judge, has none.
    """
    pairs, trades = inputs.past.trade(importers)
    last = int(inputs.panel["year"].max())

    def of(trade: Trade) -> tuple[Foretold, pd.DataFrame, list[Dyads]] | str:
        if trade.n_importers < MIN_IMPORTERS:
            return f"{trade.n_importers} countries import in the data, fewer than {MIN_IMPORTERS}"
        try:
            past = memory.cache(_past)(
                trade, pairs, last, list(importers), choices.top_k, inputs.past.ties
            )
            if past is None:
                return "there are too few years before the window to judge a model by"
            judged, learnt, dyads = past
            study = _judged_study(trade, last - TEST_YEARS, inputs, importers, choices.top_k)
            return foretell(trade, pairs, last, learnt), pd.concat([judged, *study]), dyads
        except EstimationError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        tried = dict(zip(trades, pool.map(of, trades.values()), strict=True))
    without = {category: found for category, found in tried.items() if isinstance(found, str)}
    made = [found for found in tried.values() if not isinstance(found, str)]
    if not made:
        names = ("world_coefficients", "ranking_backtest", "ranking_skill", "world_variants")
        return World(without, [], *(marts.empty(name) for name in names))
    supplies = [
        Supply.of(inputs.past.production, inputs.covariates, trade.minerals, trade.countries)
        for trade in (foretold.window.trade for foretold, *_ in made)
    ]
    models = [(foretold, supply) for (foretold, *_), supply in zip(made, supplies, strict=True)]
    backtest = pd.concat([judged for _, judged, _ in made], ignore_index=True)
    return World(
        without,
        models,
        marts.conform(pd.concat([_coefficients(f) for f, *_ in made]), "world_coefficients"),
        marts.conform(backtest, "ranking_backtest"),
        skill(backtest, importers, choices.seed),
        _variants(models, [dyads for *_, dyads in made], inputs.added, choices.seed),
    )


def _variants(
    models: Sequence[tuple[Foretold, Supply]],
    dyads: Sequence[Sequence[Dyads]],
    added: Added | None,
    seed: int,
) -> pd.DataFrame:
    """`world_variants`; empty where nothing is added."""
    if added is None:
        return marts.empty("world_variants")

    def of(number: int) -> list[dict[str, object]]:
        (foretold, supply), trade = models[number], models[number][0].window.trade
        of_pairs = dyad_rows(trade.category, dyads[number], seed)
        of_exporters = second_stage_rows(
            trade.category, foretold.window.value, supply, added, trade.minerals, trade.countries,
            seed,
        )  # fmt: skip
        return [*of_pairs, *of_exporters]

    with ThreadPoolExecutor() as pool:
        rows = [row for found in pool.map(of, range(len(models))) for row in found]
    columns = [column.name for column in marts.python_marts()["world_variants"].columns]
    return marts.conform(pd.DataFrame(rows, columns=columns), "world_variants")


def remember_past(
    past: OfPast, last: int, importers: Sequence[str], choices: Choices, memory: Memory
) -> None:
    """Have in `memory` what `fit_world` will ask of past origins."""
    pairs, trades = past.trade(importers)
    for trade in trades.values():
        if trade.n_importers >= MIN_IMPORTERS:
            memory.cache(_past)(trade, pairs, last, list(importers), choices.top_k, past.ties)


def _past(
    trade: Trade,
    pairs: Pairs,
    last: int,
    importers: Sequence[str],
    top_k: int,
    ties: Ties | None,
) -> tuple[pd.DataFrame, Learnt, list[Dyads]] | None:
    """Rows of `ranking_backtest` of the origins before `last` and the models that need trade alone,
    what they teach for it, and the variants of dyads at them."""
    rows, dyads = [], []
    for foretold, after in roll(trade, pairs, last):
        learnt, origin = after, foretold.window.last
        later = trade.mean_annual(origin + 1, origin + TEST_YEARS)
        rows.append(judge(trade, origin, foretold.shares, later, importers, top_k))
        if tried := ties and try_dyads(foretold, pairs, ties, later, top_k):
            dyads.append(tried)
    return (pd.concat(rows, ignore_index=True), learnt, dyads) if rows else None


def _coefficients(foretold: Foretold) -> pd.DataFrame:
    """`world_coefficients` of one category."""
    window, rows = foretold.window, []

    def add(part: str, terms: Sequence[str], values: FloatArray, errors: FloatArray | None) -> None:
        for number, (term, value) in enumerate(zip(terms, values, strict=True)):
            error = np.nan if errors is None else errors[number]
            rows.append({"part": part, "term": term, "estimate": value, "std_error": error})

    for part, model in (("any_trade", window.any_trade), ("value", window.value)):
        add(part, PAIR_REGRESSORS, model.slopes, np.sqrt(np.diag(model.cov)))
    influence = foretold.learnt.weights.influence
    add("world", FEATURES, foretold.learnt.weights.w, np.sqrt((influence**2).sum(axis=0)))
    for group, weights in zip((0, *FROM_SUPPLIERS), foretold.learnt.mixture, strict=True):
        add(f"expected_from_{group:02d}_suppliers", COMPONENTS, weights, None)
    return pd.DataFrame(rows).assign(category=window.trade.category)


@dataclass(frozen=True)
class _Served:
    """The models of the window that is served, for L importers: shares (M, L, N) by model, who is a
    candidate, and where a score rests on characteristics because no other country bought."""

    foretold: Foretold
    importers: NDArray[np.intp]
    effects: tuple[FloatArray, FloatArray]
    is_candidate: NDArray[np.bool_]
    is_by_characteristics: NDArray[np.bool_]
    shares: Mapping[str, FloatArray]

    @classmethod
    def of(cls, foretold: Foretold, supply: Supply, importers: Sequence[str]) -> _Served:
        window = foretold.window
        rows = np.flatnonzero(np.isin(window.trade.countries, list(importers)))
        effects = (
            predicted_effects(window.any_trade, supply),
            predicted_effects(window.value, supply),
        )
        is_candidate = candidates(window.bought)[:, rows]
        is_producer = (supply.production_kg > 0)[:, None] & (effects[1] > 0)[:, None]
        not_itself = rows[:, None] != np.arange(len(window.trade.countries))
        is_candidate = is_candidate | (is_producer & not_itself)
        scores = [model.leave_out()[:, rows] for model in (window.any_trade, window.value)]
        unseen = is_candidate & (scores[1] == 0)
        features = window.features[:, :, rows].copy()
        filled = _filled(scores, (window.any_trade.ease, window.value.ease), effects, rows)
        features[:2] = [log_score(score) for score in filled]
        world = foretold.learnt.weights.shares(features, is_candidate)
        full = np.zeros_like(window.bought)
        full[:, rows] = world
        mixed = expected_shares(window, components(window, full), foretold.learnt.mixture)[:, rows]
        by_model = {WORLD: world, EXPECTED: np.where(is_candidate, mixed, 0.0)}
        return cls(foretold, rows, effects, is_candidate, unseen, by_model)

    def forward(self, panel: pd.DataFrame, choices: Choices) -> pd.DataFrame:
        """Rows of `ranking_forward` of both models."""
        m, i, j = np.nonzero(self.is_candidate)
        n_candidates = self.is_candidate.sum(axis=2)[m, i]
        k = effective_k(pd.Series(n_candidates), choices.top_k).to_numpy()
        samples = self._samples(choices.world_replications, choices.seed)
        names = self._keys(m, i, j)
        counted: dict[str, list[NDArray[np.int16]]] = {WORLD: [], EXPECTED: []}
        for sample in samples:
            for model, share in sample.items():
                ranks = _ranks(share, self.is_candidate)[m, i, j]
                counted[model].append(ranks.astype(np.int16))
        imports = window_imports(panel)
        frames = []
        for model, share in self.shares.items():
            frames.append(
                names.assign(
                    coefficient_source=model,
                    forward_rank=_ranks(share, self.is_candidate)[m, i, j],
                    linear_predictor=_log(share[m, i, j]),
                    model_share=share[m, i, j],
                    **rank_evidence(np.stack(counted[model], axis=1), k),
                    effective_k=k,
                    score_basis=np.where(
                        self.is_by_characteristics[m, i, j], FROM_CHARACTERISTICS, FROM_TRADE
                    ),
                )
            )
        frame = pd.concat(frames, ignore_index=True)
        frame = frame.merge(imports, how="left", on=SUPPLIER, indicator="is_in_panel")
        absent = frame.pop("is_in_panel") == "left_only"  # it sold nothing, and produces nothing
        frame["actual_qty_kg"] = frame["actual_qty_kg"].mask(absent, 0.0)
        market = [frame[name] for name in (*MARKET, "coefficient_source")]
        bought = frame["actual_qty_kg"].groupby(market).transform("sum")
        frame["actual_share"] = frame["actual_share"].mask(absent & (bought > 0), 0.0)
        frame["predicted_qty_kg"] = frame["model_share"] * bought.where(bought > 0)
        return frame

    def annual(self, panel: pd.DataFrame, top_k: int) -> pd.DataFrame:
        """Rows of `ranking_annual` of the world model, with the effects of each year, in the years
        that each importer has in the panel."""
        window = self.foretold.window
        m, i, j = np.nonzero(self.is_candidate)
        k = effective_k(pd.Series(self.is_candidate.sum(axis=2)[m, i]), top_k)
        frames = []
        for year in sorted(panel["year"].unique()):
            features = window.features_of_year(int(year))[:, :, self.importers]
            share = self.foretold.learnt.weights.shares(features, self.is_candidate)
            frames.append(
                self._keys(m, i, j).assign(
                    year=year,
                    predicted_rank=_ranks(share, self.is_candidate)[m, i, j],
                    model_share=share[m, i, j],
                    effective_k=k.to_numpy(),
                )
            )
        frame = pd.concat(frames, ignore_index=True)
        reported = panel[["importer_iso3", "year"]].drop_duplicates()
        frame = frame.merge(reported, on=["importer_iso3", "year"])
        bought = imports_long(panel).rename(columns={"qty_kg": "actual_qty_kg"})
        frame = frame.merge(bought, how="left", on=[*SUPPLIER, "year"], indicator="is_in_panel")
        absent = frame.pop("is_in_panel") == "left_only"  # it bought from none of them
        frame["actual_qty_kg"] = frame["actual_qty_kg"].mask(absent, 0.0)
        market = [frame[name] for name in (*MARKET, "year")]
        total = frame["actual_qty_kg"].groupby(market).transform("sum")
        frame["predicted_qty_kg"] = frame["model_share"] * total.where(total > 0)
        return beside_actual(frame, [*MARKET, "year"]).assign(coefficient_source=WORLD)

    def _keys(self, m: NDArray[np.intp], i: NDArray[np.intp], j: NDArray[np.intp]) -> pd.DataFrame:
        trade = self.foretold.window.trade
        countries = np.array(trade.countries)
        return pd.DataFrame(
            {
                "importer_iso3": countries[self.importers[i]],
                "category": trade.category,
                "mineral": np.array(trade.minerals)[m],
                "exporter_iso3": countries[j],
            }
        )

    def _samples(self, replications: int, seed: int) -> Iterator[Mapping[str, FloatArray]]:
        """Shares (M, L, N) by model as other importers would give them: importers are resampled
        whole, slopes and weights move by their influence, effects are solved anew."""
        window, weights = self.foretold.window, self.foretold.learnt.weights
        n = len(window.trade.countries)
        rng = np.random.default_rng(seed)
        buys = window.bought.any(axis=(0, 2))
        parts = shares(window.bought)
        near = window.pairs.near[self.importers] * np.sqrt(window.bought.sum(axis=2))[:, None, :]
        own = self._history()
        mixture = self.foretold.learnt.mixture[group_of(window)[:, self.importers]]
        for _ in range(replications):
            times = rng.multinomial(buys.sum(), buys / buys.sum()).astype(np.float64)
            models = (window.any_trade, window.value)
            eases = [ease_of(m.x, m.slopes + (times - buys) @ m.influence) for m in models]
            scores = [
                _sampled_scores(model, ease, times, self.importers)
                for model, ease in zip(models, eases, strict=True)
            ]
            any_trade, value = _filled(scores, eases, self.effects, self.importers)
            weight = near * times
            total = weight.sum(axis=2, keepdims=True)
            mean = np.divide(weight @ parts, total, out=np.zeros(value.shape), where=total > 0)
            contiguous = np.broadcast_to(window.pairs.is_contiguous[self.importers], mean.shape)
            features = stacked_features(any_trade, value, contiguous, mean)
            moved = replace(weights, w=weights.w + (times - np.ones(n)) @ weights.influence)
            world = moved.shares(features, self.is_candidate)
            expected = own + mixture[:, :, -1:] * world
            yield {WORLD: world, EXPECTED: np.where(self.is_candidate, expected, 0.0)}

    def _history(self) -> FloatArray:
        """The importer's own part of the expected shares, (M, L, N)."""
        window = self.foretold.window
        mixed = components(window, np.zeros_like(window.bought))[:, :, self.importers]
        weights = self.foretold.learnt.mixture[group_of(window)[:, self.importers]]
        return np.einsum("mik,kmij->mij", weights, mixed, optimize=True)


def _sampled_scores(
    model: Gravity, ease: FloatArray, times: FloatArray, rows: NDArray[np.intp]
) -> FloatArray:
    """Leave-out scores (M, L, N) where each importer counts `times` (N,)."""
    bought, sold = model.y.sum(axis=2), times @ model.y
    start = np.where(sold > 0, np.maximum(model.exporter_effects, 1e-300), 0.0)
    a, _ = effects_given(bought, sold, ease, start, _ROUNDS, times)
    counted = a * times
    others = sold[:, None, :] - times[rows][:, None] * model.y[:, rows]
    open_to = (counted @ ease)[:, None, :] - counted[:, rows, None] * ease[rows]
    is_known = (others > 1e-12 * sold[:, None, :]) & (open_to > 0)
    return np.divide(others, open_to, out=np.zeros_like(others), where=is_known) * ease[rows]


def _filled(
    scores: Sequence[FloatArray],
    eases: Sequence[FloatArray],
    effects: Sequence[FloatArray],
    rows: NDArray[np.intp],
) -> list[FloatArray]:
    """The scores (M, L, N), those from characteristics where no other country bought."""
    return [
        np.where(score > 0, score, effect[:, None, :] * ease[rows])
        for score, ease, effect in zip(scores, eases, effects, strict=True)
    ]


def _ranks(share: FloatArray, is_candidate: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Ranks from 1 over the last axis, the highest share first, ties by column."""
    order = np.argsort(np.where(is_candidate, -share, np.inf), axis=-1, kind="stable")
    return np.argsort(order, axis=-1, kind="stable") + 1


def _log(share: FloatArray) -> FloatArray:
    return np.log(np.where(share > 0, share, np.nan))


def _judged_study(
    trade: Trade, origin: int, inputs: Inputs, importers: Sequence[str], top_k: int
) -> Iterator[pd.DataFrame]:
    """Rows of `ranking_backtest` of models of the study's kind, for the chosen importers.

    They see the panel's years up to the origin, and as candidates who produced, or sold to the
    importer, in these years.
    """
    if trade.category not in set(inputs.published["category"]):
        return
    panel = inputs.panel[inputs.panel["year"] <= origin]
    found = {model: np.full(trade.shape, np.nan) for model in (ESTIMATED, PUBLISHED)}
    for importer in importers:
        own = panel[panel["importer_iso3"] == importer]
        quantities = [name for name in own.columns if name.endswith("_qty_kg")]
        was_there = (own["production_kg"] > 0) | (own[quantities] > 0).any(axis=1)
        key = pd.MultiIndex.from_frame(own[["mineral", "exporter_iso3"]])
        own = own[key.isin(key[was_there])]
        if own.empty or importer not in trade.countries:
            continue
        for model, eta in _study_predictors(own, trade.category, importer, inputs.published):
            found[model][:, trade.countries.index(importer)] = _placed(eta, trade)
    later = trade.mean_annual(origin + 1, origin + TEST_YEARS)
    yield judge(trade, origin, found, later, importers, top_k)


def _study_predictors(
    own: pd.DataFrame, category: str, importer: str, published: pd.DataFrame
) -> Iterator[tuple[str, pd.Series]]:
    """x'b by mineral and exporter, of the fit on these rows and of the published coefficients."""
    means = average_characteristics(own, REGRESSORS)
    means = means.set_index(["mineral", "exporter_iso3"])
    rows = (published["category"] == category) & (published["importer_iso3"] == importer)
    for model in coefficient_sets(published[rows]):
        yield PUBLISHED, pd.Series(attractiveness(means.reset_index(), model), means.index)
    try:
        fit = fit_ppml(build_design(own, study_spec(category)))
    except EstimationError:
        return
    if fit.is_converged:
        yield ESTIMATED, pd.Series(scores_of(means, fit), means.index)


def _placed(eta: pd.Series, trade: Trade) -> FloatArray:
    """Shares (M, N) within each mineral from x'b; zero for those without, NaN without any."""
    index = pd.MultiIndex.from_product([trade.minerals, trade.countries])
    flat = eta.reindex(index).to_numpy(dtype=np.float64)
    placed = flat.reshape(len(trade.minerals), len(trade.countries))
    placed = np.where(np.isnan(placed), -np.inf, placed)
    top = placed.max(axis=1, keepdims=True)
    weight = np.exp(placed - np.where(np.isfinite(top), top, 0.0))
    return np.where(np.isfinite(top), shares(weight), np.nan)
