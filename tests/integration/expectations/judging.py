"""How the tests of the suites ask a suite about a frame: by the names of its rules."""

from __future__ import annotations

import re

import pandas as pd

from expectations.rules import Suite
from expectations.validation import Outcome, validate


def judge(frame: pd.DataFrame, suite: Suite, *names: str) -> dict[str, Outcome]:
    """The outcomes of the rules of these names, of all when none is named."""
    chosen = tuple(rule for rule in suite.rules if rule.name in names or not names)
    assert not names or {rule.name for rule in chosen} == set(names)
    report = validate(frame, Suite(suite.name, suite.key_columns, chosen))
    return {outcome.name: outcome for outcome in report.outcomes}


def not_passed(outcomes: dict[str, Outcome]) -> dict[str, str]:
    """What did not pass, with what was found."""
    return {n: f"{o.status}: {o.message}" for n, o in outcomes.items() if o.status != "passed"}


def assert_names_and_reasons(suite: Suite) -> None:
    """Names are unique and fit a Dagster check; reasons are sentences."""
    names = [rule.name for rule in suite.rules]
    assert len(set(names)) == len(names)
    for rule in suite.rules:
        assert re.fullmatch(r"[a-z0-9_]+", rule.name)
        assert rule.severity in ("block", "warn")
        assert re.fullmatch(r"[A-Z].+\.", rule.why, re.DOTALL), rule
