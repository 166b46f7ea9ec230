"""When the jobs run by themselves."""

import dagster as dg

from orchestration.jobs import REFRESH

DAILY = dg.ScheduleDefinition(
    name="daily_refresh",
    job=REFRESH,
    cron_schedule="0 5 * * *",
    execution_timezone="UTC",
    description="Every day at 05:00 UTC, before the working day in most of the importers.",
)
