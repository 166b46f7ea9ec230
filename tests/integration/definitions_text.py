"""The definitions as text, to be compared with `tests/definitions.txt`.

`python -m tests.integration.definitions_text` (`make definitions`) writes that file anew after a
change that is meant. Rows, descriptions and versions are left out: they change without anything
being lost.
"""

from pathlib import Path

import dagster as dg

from minerals.settings import Settings
from orchestration.definitions import build_definitions

FILE = Path(__file__).resolve().parents[1] / "definitions.txt"


def as_text(definitions: dg.Definitions) -> str:
    """Assets with group and inputs, checks, jobs with what they build and judge, schedules,
    sensors."""
    graph = definitions.resolve_asset_graph()
    lines = ["# assets: group/name <- what it is made from"]
    nodes = sorted(graph.asset_nodes, key=lambda node: (node.group_name, node.key))
    for node in nodes:
        inputs = ", ".join(sorted(key.to_user_string() for key in node.parent_keys))
        lines.append(
            f"{node.group_name}/{node.key.to_user_string()}" + f" <- {inputs}" * bool(inputs)
        )
    lines += ["", "# checks: asset.check, and whether it stops what comes after"]
    for key in sorted(graph.asset_check_keys):
        blocks = "blocks" if graph.get(key).blocking else "warns"
        lines.append(f"{key.asset_key.to_user_string()}.{key.name}: {blocks}")
    repository = definitions.get_repository_def()
    lines += ["", "# jobs: what each builds, and the gates it has"]
    for job in sorted(repository.get_all_jobs(), key=lambda job: job.name):
        if not job.name.startswith("__"):
            built = sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
            gates = sorted(node.name for node in job.nodes if node.name.startswith("gate_"))
            judged = f"; judged by {', '.join(gates)}" * bool(gates)
            lines.append(f"{job.name}: {', '.join(built)}{judged}")
    lines += ["", "# schedules: job, when, on or off at first"]
    for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name):
        when, first = schedule.cron_schedule, schedule.default_status.value
        lines.append(f"{schedule.name}: {schedule.job_name}, {when}, {first}")
    lines += ["", "# sensors: on or off at first"]
    for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name):
        lines.append(f"{sensor.name}: {sensor.default_status.value}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(as_text(build_definitions(Settings())), encoding="utf-8")
