"""The daemon's part, step by step: evaluate ticks and start the runs that they ask for.

`python -m tests.ticks schedules@2026-06-01T03:00 publish_what_is_new`: a moment evaluates every
schedule that is due then, any other name is a sensor's. As with the daemon, settings come from the
environment, a run key is started once, and the runs are those of the instance on disk. They are
executed in this process, one after the other. What happened goes to standard output, a JSON object
a line.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from minerals.settings import Settings
from orchestration import run
from orchestration.definitions import build_definitions

RUN_KEY = "dagster/run_key"


def due(
    repository: dg.RepositoryDefinition, moment: datetime
) -> Iterator[tuple[str, list[dg.RunRequest], str | None]]:
    for schedule in sorted(repository.schedule_defs, key=lambda s: s.name):
        if (
            next(cron_string_iterator(moment.timestamp(), str(schedule.cron_schedule), "UTC"))
            == moment
        ):
            with dg.build_schedule_context(scheduled_execution_time=moment) as context:
                requests = schedule.evaluate_tick(context).run_requests or []
            # The daemon's own key of a tick: a schedule and its moment.
            keyed = [
                dg.RunRequest(f"{schedule.name}@{moment:%FT%R}", tags=one.tags) for one in requests
            ]
            yield schedule.job_name, keyed, None


def sensed(
    repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, name: str
) -> tuple[str, list[dg.RunRequest], str | None]:
    sensor = repository.get_sensor_def(name)
    with dg.build_sensor_context(instance=instance) as context:
        outcome = sensor.evaluate_tick(context)
    return sensor.job_name, list(outcome.run_requests or []), outcome.skip_message


def start(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, request: dg.RunRequest
) -> str:
    if instance.get_runs(dg.RunsFilter(tags={RUN_KEY: str(request.run_key)})):
        return "not again"
    made = definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags={**request.tags, RUN_KEY: str(request.run_key)},
        raise_on_error=False,
    )
    return "succeeded" if made.success else "failed"


def main() -> None:
    definitions, settings = build_definitions(Settings()), Settings()
    repository = definitions.get_repository_def()
    with run.open_instance(settings) as instance:
        for step in sys.argv[1:]:
            name, _, moment = step.partition("@")
            if moment:
                at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
                evaluated = list(due(repository, at))
            else:
                evaluated = [sensed(repository, instance, name)]
            for job, requests, reason in evaluated:
                runs = [start(definitions, instance, job, request) for request in requests]
                line = {"step": step, "job": job, "runs": runs, "skipped": reason}
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
