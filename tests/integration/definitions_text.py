"""The definitions as text, to be compared with `tests/definitions.txt`.

`python -m tests.integration.definitions_text` (`make definitions`) writes that file again after an
intended change. Descriptions and versions are left out: they change without anything being lost.
"""

from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from minerals.settings import Settings
from orchestration.definitions import build_definitions

FILE = Path(__file__).resolve().parents[1] / "definitions.txt"


def as_text(bundled: dg.Definitions, live: dg.Definitions) -> str:
    """The assets and checks of the bundled profile; the jobs, schedules and sensors of both."""
    graph = bundled.resolve_asset_graph()
    lines = ["# assets: group/name <- what it is made from"]
    for node in sorted(graph.asset_nodes, key=lambda node: (node.group_name, node.key)):
        inputs = _names(node.parent_keys)
        name = f"{node.group_name}/{node.key.to_user_string()}"
        lines.append(f"{name} <- {inputs}" if inputs else name)
    lines += ["", "# checks: asset.check, and whether it stops what comes after"]
    for key in sorted(graph.asset_check_keys):
        effect = "blocks" if graph.get(key).blocking else "warns"
        lines.append(f"{key.asset_key.to_user_string()}.{key.name}: {effect}")
    for profile, definitions in {"bundled": bundled, "live": live}.items():
        lines += ["", f"# {profile}: jobs, schedules, sensors", *_automation(definitions)]
    return "\n".join(lines) + "\n"


def _automation(definitions: dg.Definitions) -> list[str]:
    repository = definitions.get_repository_def()
    everything = {node.key for node in definitions.resolve_asset_graph().asset_nodes}
    lines = []
    for job in sorted(repository.get_all_jobs(), key=lambda job: job.name):
        if job.name.startswith("__"):
            continue
        built = set(job.asset_layer.executable_asset_keys)
        left_out = everything - built
        if len(built) > len(left_out):
            lines.append(f"job {job.name}: all{' but ' if left_out else ''}{_names(left_out)}")
        else:
            lines.append(f"job {job.name}: {_names(built) or 'no asset'}")
    for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name):
        when, first = schedule.cron_schedule, schedule.default_status.value
        lines.append(f"schedule {schedule.name}: {schedule.job_name}, {when}, {first}")
    for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name):
        lines.append(f"sensor {sensor.name}: {sensor.default_status.value}")
    return lines


def _names(keys: Iterable[dg.AssetKey]) -> str:
    return ", ".join(sorted(key.to_user_string() for key in keys))


def both(settings: Settings) -> str:
    """The text for these settings, with the profile set to each of the two."""
    made = [
        build_definitions(settings.model_copy(update={"profile": p})) for p in ("bundled", "live")
    ]
    return as_text(*made)


if __name__ == "__main__":
    FILE.write_text(both(Settings()), encoding="utf-8")
