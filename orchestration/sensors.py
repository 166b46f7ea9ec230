"""What the daemon looks at between the schedules."""

import dagster as dg

from orchestration.recovery import recover


@dg.sensor(
    name="end_dead_runs",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the runs whose process was killed, so that the next one can start. "
    "A run of the command line is nobody's to look after otherwise.",
)
def end_dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    ended = recover(context.instance)
    if ended:
        return dg.SkipReason(f"Ended, because their process had died: {', '.join(ended)}.")
    return dg.SkipReason("Every run under way has a living process.")
