"""`minerals settings`: what can be set, and what is set now."""

import typer

from minerals.settings import Settings
from orchestration.cli import common

app = typer.Typer()


@app.command()
def settings() -> None:
    """List the settings: the variable that sets each, its value now, its meaning."""
    now = common.settings()
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(now, name)
        shown = ",".join(value) if isinstance(value, tuple) else str(value)
        variable = "COMTRADE_API_KEY" if name == "comtrade_api_key" else f"MINERALS_{name.upper()}"
        rows.append({"variable": variable, "value": shown, "meaning": field.description})
    common.show(common.console(), rows)
