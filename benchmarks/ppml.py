"""How fast the estimator is beside pyfixest and statsmodels, in one run on one machine.

    python benchmarks/ppml.py [--large]

Prints ratios, not only times: on a shared machine a second means little, but all candidates of a
line run within moments of each other. Each is run once to warm up, then the best of several is
taken. Every line also says how far our coefficients are from the other's. `--large` adds a million
rows (about 3 GB for pyfixest).
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from minerals.ppml.absorbed import fit_absorbed
from minerals.ppml.bootstrap import cluster_bootstrap
from minerals.ppml.columns import Columns
from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.separation import separated_rows

REGRESSORS = tuple(f"x{j}" for j in range(11))


def panel(n: int, sizes: tuple[int, ...], seed: int = 0) -> pd.DataFrame:
    """n rows of 11 regressors and effects of the given sizes, 120 clusters, over-dispersed."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=n) for name in REGRESSORS})
    eta = 0.1 * frame.sum(axis=1)
    for position, size in enumerate(sizes):
        frame[f"f{position}"] = rng.integers(0, size, n)
        eta += rng.normal(0, 0.5, size)[frame[f"f{position}"]]
    frame["y"] = rng.poisson(np.exp(eta) * rng.gamma(1.0, 1.0, n)).astype(float)
    return frame.assign(cluster=rng.integers(0, 120, n))


def ours(frame: pd.DataFrame, effects: int) -> np.ndarray:
    return fit_absorbed(
        frame["y"].to_numpy(),
        frame[list(REGRESSORS)].to_numpy(),
        [frame[f"f{e}"].to_numpy() for e in range(effects)],
        frame["cluster"].to_numpy(),
    ).coefficients


def ours_from_panel(frame: pd.DataFrame, effects: int) -> np.ndarray:
    """With everything the warehouse does: design, names, HC1 and clustered covariance."""
    spec = ModelSpec("y", REGRESSORS, tuple(f"f{e}" for e in range(effects)), {}, "cluster", None)
    return fit_ppml(build_design(frame, spec)).coefficients[:11]


def pyfixest(frame: pd.DataFrame, effects: int) -> np.ndarray:
    import pyfixest as pf

    right = " + ".join(f"f{e}" for e in range(effects))
    model = pf.fepois(f"y ~ {' + '.join(REGRESSORS)} | {right}", frame, vcov={"CRV1": "cluster"})
    return model.coef().to_numpy()


def statsmodels(frame: pd.DataFrame, effects: int) -> np.ndarray:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    right = " + ".join(f"C(f{e})" for e in range(effects))
    model = smf.glm(f"y ~ {' + '.join(REGRESSORS)} + {right}", frame, family=sm.families.Poisson())
    result = model.fit(cov_type="cluster", cov_kwds={"groups": frame["cluster"]})
    return result.params[list(REGRESSORS)].to_numpy()


def best(call: Callable[[], np.ndarray], repeats: int) -> tuple[float, np.ndarray]:
    value = call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - started)
    return min(times), value


def compare(title: str, n: int, sizes: tuple[int, ...], others: dict, repeats: int) -> None:
    frame = panel(n, sizes)
    seconds, b = best(lambda: ours(frame, len(sizes)), repeats)
    print(f"{title}: ours {seconds:.3f} s")
    for name, other in others.items():
        theirs, c = best(lambda other=other: other(frame, len(sizes)), repeats)
        difference = np.max(np.abs(b / c - 1))
        print(f"  {name:<28} {theirs:8.3f} s   {theirs / seconds:5.1f} x ours   "
              f"coefficients within {difference:.0e}")  # fmt: skip


def peak_memory(name: str, n: int, sizes: tuple[int, ...]) -> float:
    """Peak memory in MB of a process that makes the panel and fits once."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_fit_and_measure, (name, n, sizes))


def _fit_and_measure(name: str, n: int, sizes: tuple[int, ...]) -> float:
    {"ours": ours, "pyfixest": pyfixest}[name](panel(n, sizes), len(sizes))
    status = Path("/proc/self/status").read_text()  # of this process alone, unlike ru_maxrss
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def bootstrap() -> None:
    total = 0.0
    for seed in range(3):
        frame = panel(3859, (37, 5), seed)
        design = build_design(frame, ModelSpec("y", REGRESSORS, ("f0", "f1"), {}, "cluster", None))
        fit = fit_ppml(design)
        started = time.perf_counter()
        drawn = cluster_bootstrap(design, fit, 500, seed)
        total += time.perf_counter() - started
        assert len(drawn.draws) == 500
    print(f"500 bootstrap replications of three models of 3,859 rows: {total:.1f} s (limit 15 s)")


def separation() -> None:
    rng = np.random.default_rng(1)
    n = 100_000
    a, b = rng.integers(0, 1000, n), rng.integers(0, 1000, n)
    y = (rng.random(n) < 0.5).astype(float)
    x = rng.normal(size=(n, 11))
    x[:, 3] = np.where(y > 0, 0.0, np.abs(x[:, 3]) * (rng.random(n) < 0.3))
    for title, regressors in {"none": np.delete(x, 3, axis=1), "by a regressor": x}.items():
        columns = Columns.of(regressors, [a, b], [999, 999])
        started = time.perf_counter()
        count = int(separated_rows(y, columns).sum())
        seconds = time.perf_counter() - started
        print(f"separation on 100,000 rows, 2,000 columns of effects, {title}: "
              f"{seconds:.2f} s, {count:,} rows (limit 5 s)")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="add a million rows")
    large = parser.parse_args().large
    warnings.simplefilter("ignore")
    study = {
        "pyfixest": pyfixest,
        "statsmodels formula": statsmodels,
        "ours, from the panel up": ours_from_panel,
    }
    compare("3,859 rows, 52 parameters", 3859, (37, 5), study, 7)
    three = (200, 200, 40)
    compare("100,000 rows, three effects", 100_000, three, {"pyfixest": pyfixest}, 3)
    if large:
        compare("1,000,000 rows, three effects", 1_000_000, three, {"pyfixest": pyfixest}, 1)
        memory = {name: peak_memory(name, 1_000_000, three) for name in ("ours", "pyfixest")}
        print(
            f"  peak memory: ours {memory['ours']:,.0f} MB, pyfixest {memory['pyfixest']:,.0f} MB"
        )
    bootstrap()
    separation()


if __name__ == "__main__":
    main()
