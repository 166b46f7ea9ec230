"""How fast the estimator is compared with pyfixest and statsmodels, in one run on one machine.

    python benchmarks/ppml.py [--quick]

The fit of a refresh, from the panel to coefficients with standard errors, on a panel of the study's
size; its bootstrap; and the gravity of all importers, with effects by importer and mineral and by
exporter and mineral. Prints
ratios, not only times: on a shared machine a second means little, but all candidates of a line run
within moments of each other. Each runs once to warm up, then the best of several is taken. Each
line also says how far our coefficients are from the other's. `--quick` takes smaller panels and one
repetition, to see that everything runs.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

from minerals.settings import limit_linear_algebra_threads

limit_linear_algebra_threads()  # as a refresh does, before numpy is imported

# ruff: noqa: E402
import numpy as np
import pandas as pd

from minerals.ppml.bootstrap import cluster_bootstrap
from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.gravity import fit_gravity

Fit = Callable[[pd.DataFrame], np.ndarray]
"""A panel to the coefficients of its regressors."""
REGRESSORS = tuple(f"x{j}" for j in range(11))
DYADIC = ("ln_distance", "is_neighbour")


def panel(n: int) -> pd.DataFrame:
    """n rows of 120 exporters, 37 minerals and 5 years, 11 regressors, over-dispersed."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=n) for name in REGRESSORS})
    eta = 0.1 * frame.sum(axis=1)
    for effect, size in (("mineral", 37), ("year", 5)):
        frame[effect] = rng.integers(0, size, n)
        eta += rng.normal(0, 0.5, size)[frame[effect]]
    frame["qty"] = rng.poisson(np.exp(eta) * rng.gamma(1.0, 1.0, n)).astype(float)
    return frame.assign(exporter_iso3=rng.integers(0, 120, n))


def world(countries: int, minerals: int) -> pd.DataFrame:
    """All pairs of countries for each mineral, seven of eight without trade."""
    rng = np.random.default_rng(0)
    frame = pd.MultiIndex.from_product(
        [range(countries), range(countries), range(minerals)],
        names=["importer_iso3", "exporter_iso3", "mineral"],
    ).to_frame(index=False)
    frame = frame[frame["importer_iso3"] != frame["exporter_iso3"]].reset_index(drop=True)
    n = len(frame)
    pair = frame.groupby(["importer_iso3", "exporter_iso3"]).ngroup().to_numpy()
    frame["ln_distance"] = rng.normal(8, 1, n)[pair]
    frame["is_neighbour"] = (rng.random(n) < 0.1).astype(float)[pair]
    frame["importer"] = frame["importer_iso3"] * minerals + frame["mineral"]
    frame["exporter"] = frame["exporter_iso3"] * minerals + frame["mineral"]
    eta = frame["is_neighbour"] - frame["ln_distance"]
    for effect in ("importer", "exporter"):
        eta += rng.normal(0, 2, frame[effect].max() + 1)[frame[effect]]
    sold = rng.random(n) < 0.12
    return frame.assign(qty=1e6 * np.exp(eta) * rng.gamma(0.5, 2.0, n) * sold)


def of_a_refresh(frame: pd.DataFrame) -> np.ndarray:
    """The design, its names, and HC1, clustered and two-way covariances included."""
    return fit_ppml(build_design(frame, ModelSpec("qty", REGRESSORS))).coefficients[:11]


def of_all_importers(frame: pd.DataFrame) -> np.ndarray:
    m, i, j = (frame[name].to_numpy() for name in ("mineral", "importer_iso3", "exporter_iso3"))
    n = i.max() + 1
    y, x = np.zeros((m.max() + 1, n, n)), np.zeros((len(DYADIC), m.max() + 1, n, n))
    y[m, i, j], x[:, m, i, j] = frame["qty"], frame[list(DYADIC)].to_numpy().T
    return fit_gravity(y, x[:, 0]).slopes


def pyfixest(regressors: tuple[str, ...], effects: str, cluster: str) -> Fit:
    def fit(frame: pd.DataFrame) -> np.ndarray:
        import pyfixest as pf

        formula = f"qty ~ {' + '.join(regressors)} | {effects}"
        return pf.fepois(formula, frame, vcov={"CRV1": cluster}).coef().to_numpy()

    return fit


def statsmodels(frame: pd.DataFrame) -> np.ndarray:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    formula = f"qty ~ {' + '.join(REGRESSORS)} + C(mineral) + C(year)"
    model = smf.glm(formula, frame, family=sm.families.Poisson())
    result = model.fit(cov_type="cluster", cov_kwds={"groups": frame["exporter_iso3"]})
    return result.params[list(REGRESSORS)].to_numpy()


def best(fit: Fit, frame: pd.DataFrame, repeats: int) -> tuple[float, np.ndarray]:
    value = fit(frame)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        value = fit(frame)
        times.append(time.perf_counter() - started)
    return min(times), value


def compare(
    title: str, frame: pd.DataFrame, ours: Fit, others: dict[str, Fit], repeats: int
) -> None:
    seconds, b = best(ours, frame, repeats)
    print(f"{title}, {len(frame):,} rows: ours {seconds:.3f} s")
    for name, other in others.items():
        theirs, c = best(other, frame, repeats)
        difference = np.max(np.abs(b / c - 1))
        print(f"  {name:<12} {theirs:8.3f} s   {theirs / seconds:5.1f} x ours   "
              f"coefficients within {difference:.0e}")  # fmt: skip


def bootstrap(frame: pd.DataFrame, replications: int) -> None:
    design = build_design(frame, ModelSpec("qty", REGRESSORS))
    fit = fit_ppml(design)
    started = time.perf_counter()
    drawn = cluster_bootstrap(design, fit, replications, seed=0)
    seconds = time.perf_counter() - started
    print(f"{len(drawn.draws)} of {replications} bootstrap samples of it: {seconds:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small panels, one repetition")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    study = panel(1000 if quick else 3859)
    others = {
        "pyfixest": pyfixest(REGRESSORS, "mineral + year", "exporter_iso3"),
        "statsmodels": statsmodels,
    }
    compare("a model of a refresh", study, of_a_refresh, others, 1 if quick else 7)
    bootstrap(study, 100 if quick else 500)
    trade = world(30, 10) if quick else world(126, 10)
    others = {"pyfixest": pyfixest(DYADIC, "importer + exporter", "importer_iso3")}
    compare("a model of all importers", trade, of_all_importers, others, 1 if quick else 3)


if __name__ == "__main__":
    main()
