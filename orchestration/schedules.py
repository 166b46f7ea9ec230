"""When the jobs run by themselves, and how old a source may become.

In the bundled profile everything is refreshed daily, and only the release can become old: the
bundle itself does not change. In the live profile each source is asked on a schedule of its own, as
often as its publisher has something new; a sensor (`sensors.py`) starts what follows downstream.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from minerals.settings import Settings
from orchestration.jobs import INGEST_ONE, REFRESH


@dataclass(frozen=True)
class Cadence:
    """When a source is asked (cron, UTC), and the age in days at which it warns and fails."""

    cron: str
    warn_days: int
    fail_days: int
    reason: str

    @property
    def freshness(self) -> dg.FreshnessPolicy:
        return dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=self.fail_days), warn_window=timedelta(days=self.warn_days)
        )


DAILY = Cadence(
    "0 5 * * *", 2, 8,
    "Made every day at 05:00 UTC, before the working day in most of the importers, also when "
    "nothing changed. Two days without a release warn, eight fail.",
)  # fmt: skip


def _monthly(reason: str) -> Cadence:
    ages = "A month without an answer warns, two fail."
    return Cadence("0 3 1 * *", 32, 63, f"Asked on the first of the month: {reason} {ages}")


# All at the same hour, so that sources which are due on one day make one release, not several.
CADENCES: Mapping[str, Cadence] = {
    "bilateral_trade": Cadence(
        "0 3 * * 1", 8, 15,
        "Asked every Monday: reporters send UN Comtrade new and revised years all year round. A "
        "week without an answer warns, two fail.",
    ),
    "production": _monthly(
        "World Mining Data publishes one edition a year, in spring, and asking costs one request."
    ),
    "mineral_summaries": _monthly(
        "the USGS publishes one edition a year, at the end of January, and corrects it in spring."
    ),
    "country_indicators": _monthly("the World Bank updates its indicators every few months."),
    "country_geography": _monthly(
        "distances do not change, but the World Bank's groups of countries do, in July."
    ),
    "export_restrictions": _monthly("the OECD publishes one Inventory a year, in spring."),
}  # fmt: skip


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """`daily_refresh` in the bundled profile; one schedule per source in the live profile."""
    scheduled = {"daily_refresh": (REFRESH, DAILY)}
    if settings.profile == "live":
        scheduled = {f"ask_for_{d}": (INGEST_ONE[d], cadence) for d, cadence in CADENCES.items()}
    status = dg.DefaultScheduleStatus("RUNNING" if settings.schedules_on else "STOPPED")
    return [
        dg.ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=cadence.cron,
            execution_timezone="UTC",
            default_status=status,
            description=cadence.reason,
        )
        for name, (job, cadence) in scheduled.items()
    ]
