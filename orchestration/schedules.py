"""When the jobs run by themselves, and how old a source may become.

In the bundled profile everything is refreshed daily, and the release is what may become old: the
bundle itself does not change. In the live profile each source is asked on a schedule of its own, as
often as its publisher has something new; what follows downstream is asked for once, by a sensor
(`sensors.py`), when all of them have ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from minerals.settings import Settings
from orchestration.jobs import INGEST_ONE, REFRESH


@dataclass(frozen=True)
class Cadence:
    """When a source is asked (cron, UTC), and the age at which it warns and fails, with reasons."""

    cron: str
    warn_after: timedelta
    fail_after: timedelta
    reason: str

    @property
    def freshness(self) -> dg.FreshnessPolicy:
        return dg.FreshnessPolicy.time_window(self.fail_after, self.warn_after)


DAILY = Cadence(
    "0 5 * * *",
    timedelta(days=2),
    timedelta(days=8),
    "Made every day at 05:00 UTC, before the working day in most of the importers, also when "
    "nothing changed. Two days without a release warn, eight fail.",
)
_MONTHLY = "0 3 1 * *"
_MONTH, _TWO_MONTHS = timedelta(days=32), timedelta(days=63)
# At one hour, so that sources which are due on one day make one release, not several.
CADENCES: Mapping[str, Cadence] = {
    "bilateral_trade": Cadence(
        "0 3 * * 1",
        timedelta(days=8),
        timedelta(days=15),
        "Asked every Monday: reporters send UN Comtrade new and revised years all year round. A "
        "week without an answer warns, two fail.",
    ),
    "production": Cadence(
        _MONTHLY,
        _MONTH,
        _TWO_MONTHS,
        "Asked on the first of the month: World Mining Data publishes one edition a year, in "
        "spring, and asking costs one request. A month without an answer warns, two fail.",
    ),
    "country_indicators": Cadence(
        _MONTHLY,
        _MONTH,
        _TWO_MONTHS,
        "Asked on the first of the month: the World Bank updates its indicators every few months. "
        "A month without an answer warns, two fail.",
    ),
    "country_geography": Cadence(
        _MONTHLY,
        _MONTH,
        _TWO_MONTHS,
        "Asked on the first of the month: distances do not change, but the World Bank's groups of "
        "countries do, in July. A month without an answer warns, two fail.",
    ),
}


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """`daily_refresh` in the bundled profile, a schedule a source in the live one."""
    status = (
        dg.DefaultScheduleStatus.RUNNING
        if settings.schedules_on
        else dg.DefaultScheduleStatus.STOPPED
    )
    if settings.profile == "bundled":
        return [
            dg.ScheduleDefinition(
                name="daily_refresh",
                job=REFRESH,
                cron_schedule=DAILY.cron,
                execution_timezone="UTC",
                default_status=status,
                description=DAILY.reason,
            )
        ]
    return [
        dg.ScheduleDefinition(
            name=f"ask_for_{dataset}",
            job=INGEST_ONE[dataset],
            cron_schedule=cadence.cron,
            execution_timezone="UTC",
            default_status=status,
            description=cadence.reason,
        )
        for dataset, cadence in CADENCES.items()
    ]
