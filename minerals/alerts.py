"""Alerts: what somebody should look at, written to a local log and posted to a webhook if one is
set. What deserves an alert is decided in the orchestration.

The local log, `logs/alerts.jsonl`, is written first: when the webhook is down, no alert is lost and
nothing fails. The webhook's address carries a token, so it is in no log line, exception or alert;
httpx, which would log it, is silenced during the request.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import httpx
from pydantic import SecretStr

from minerals.settings import Settings

Kind = Literal["run failed", "source not up to date", "webhook failed"]
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Alert:
    """One thing to look at. `cause` is one line, for a person."""

    kind: Kind
    job: str
    run_id: str
    step: str
    cause: str
    at: str = field(default_factory=_now)

    def __str__(self) -> str:
        where = f"{self.job}, {self.step}" if self.step else self.job
        return f"{self.kind}: {where} (run {self.run_id[:8]}): {self.cause}"


def send(settings: Settings, alert: Alert) -> str | None:
    """Log the alert and post it. Returns what went wrong with the webhook, or None."""
    cause = (alert.cause.strip().splitlines() or ["no cause was given"])[0]
    for secret in (settings.comtrade_api_key, settings.alert_webhook_url):
        if secret is not None:
            cause = cause.replace(secret.get_secret_value(), "(secret)")
    alert = replace(alert, cause=cause)
    _write(settings, alert)
    if settings.alert_webhook_url is None:
        return None
    problem = _post(settings.alert_webhook_url, alert)
    if problem:
        _write(settings, replace(alert, kind="webhook failed", cause=problem, at=_now()))
    return problem


def _write(settings: Settings, alert: Alert) -> None:
    """Append one line in one write, so that lines of two processes do not mix."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(alert), ensure_ascii=False) + "\n"
    descriptor = os.open(settings.alert_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _post(url: SecretStr, alert: Alert) -> str | None:
    """Post the alert: `text` is what chat services show. Returns what went wrong, or None."""
    body = {"text": str(alert), **asdict(alert)}
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with _silenced("httpx"), _silenced("httpcore"), httpx.Client(timeout=timeout) as client:
            response = client.post(url.get_secret_value(), json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The message of the error is left out: it may hold the address.
        return f"the webhook did not answer ({type(error).__name__})"
    if not response.is_success:
        return f"the webhook answered with status {response.status_code}"
    return None


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Log nothing by this logger meanwhile."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
