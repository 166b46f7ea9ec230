"""Every kind of damage is caught by the check meant for it; the last release stays served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drill.damages import DAMAGES, GEOGRAPHY, Damage
from tests.drill.rehearsal import Rehearsal, quietly

# What only the gate of the panel can see costs all of dbt, a minute each: `make drill` has them.
LATE = "leading_suppliers_keep_their_trade"
SOONER = [damage for damage in DAMAGES if damage.expected != LATE]
UNTOUCHED = Damage("nothing at all", GEOGRAPHY, "", "from rows")


@pytest.fixture(scope="module")
def rehearsal(refreshed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    folder: Path = tmp_path_factory.mktemp("drill")
    with quietly(folder / "drill.log"):
        yield Rehearsal.on_a_copy(refreshed.settings, folder)


def test_there_are_many_kinds_of_damage_and_every_dataset_has_some():
    assert len({damage.name for damage in DAMAGES}) == len(DAMAGES)
    assert len(SOONER) >= 35
    assert {damage.dataset for damage in DAMAGES} == {
        "bilateral_trade", "production", "country_indicators", "country_geography",
    }  # fmt: skip


@pytest.mark.parametrize("damage", SOONER, ids=lambda damage: damage.name)
def test_damage_is_caught_and_the_release_stays_served(rehearsal, damage):
    found = rehearsal.run(damage)
    assert any(damage.expected in check for check in found.caught_by), found
    assert found.is_still_served, found


def test_sound_data_pass_the_gate_that_the_damaged_do_not(rehearsal):
    found = rehearsal.run(UNTOUCHED, only_ingest=True)
    assert (found.stage, found.caught_by) == ("", ())
