"""One way to ask a publisher: time-outs, retries, a rate and a daily quota, checked answers.

Belongs here: everything about HTTP that is the same for all sources. What to ask for, and what an
answer means, belongs to the module of each source.

What can pass on a second try (a time-out, a dropped connection, 408, 425, 429, 5xx, a page of HTML
or half a body where data were promised) is tried again, later each time; everything else stops at
once with a sentence. A project that retried all failures alike once sent the same refused request
5,363 times.

The key of a source travels in a request header. It is in no URL, and no exception raised here holds
the request that carried it: httpx's own exceptions do, so they are not chained.
"""

import json
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn

import httpx
from filelock import FileLock
from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from minerals.errors import (
    PermanentSourceError,
    QuotaExhaustedError,
    SourceError,
    TransientSourceError,
)
from minerals.sources.snapshots import write_atomically

Expected = Literal["json", "zip", "xls"]
USER_AGENT = "mineral-sourcing-warehouse"
_MAGIC: Mapping[Expected, tuple[bytes, str]] = {
    "zip": (b"PK\x03\x04", "a zip archive or an .xlsx workbook"),
    "xls": (b"\xd0\xcf\x11\xe0", "an .xls workbook"),
}
_PASSING_STATUS = frozenset({408, 425, 429})
_EXCERPT = 200


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for an answer, how often to ask again, and when to give up. Seconds."""

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_retry_after: float = 120.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0


@dataclass(frozen=True)
class Answer:
    """What a publisher sent, with what a sidecar says of it. `body` is empty when unchanged."""

    url: str
    params: Mapping[str, str]
    status: int
    body: bytes = field(repr=False)
    etag: str | None
    last_modified: str | None
    retrieved_at: str

    @property
    def is_unchanged(self) -> bool:
        """True for 304: what the caller holds is still what the publisher offers."""
        return self.status == httpx.codes.NOT_MODIFIED

    def json(self) -> Any:
        """The body as JSON; `Client.get` has made sure that it is."""
        return json.loads(self.body)


@dataclass
class Allowance:
    """The rate and the daily quota of one source, in a file, so that a restart changes nothing.

    A call is counted before it is sent: a process that dies in between has used it. The day is
    UTC's. Safe between processes.
    """

    file: Path
    per_day: int
    seconds_between: float
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def take(self) -> None:
        """Wait for the next slot and count one call.

        Raises QuotaExhaustedError, without waiting, when the day's calls are used up.
        """
        with self._state() as state:
            now = self.now()
            if state["blocked_until"] > now:
                self._refuse(state["blocked_until"], "the publisher asked to wait")
            if state["used"] >= self.per_day:
                midnight = datetime.fromtimestamp(now, UTC).replace(
                    hour=0, minute=0, second=0, microsecond=0
                ) + timedelta(days=1)
                self._refuse(midnight.timestamp(), f"all {self.per_day} calls of today are used")
            slot = max(now, state["next_slot"])
            state["used"] += 1
            state["next_slot"] = slot + self.seconds_between
        if slot > now:
            self.sleep(slot - now)

    def block(self, seconds: float) -> None:
        """Let no call out for so long: the publisher said so."""
        with self._state() as state:
            state["blocked_until"] = self.now() + seconds

    @property
    def used_today(self) -> int:
        with self._state() as state:
            return int(state["used"])

    def _refuse(self, until: float, why: str) -> NoReturn:
        moment = datetime.fromtimestamp(until, UTC)
        raise QuotaExhaustedError(
            f"No call is left for {self.file.stem}: {why}. What was fetched is kept; a refresh "
            f"after {moment:%Y-%m-%d %H:%M} UTC goes on from there.",
            until - self.now(),
        )

    @contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.file}.lock"):
            before = _read_state(self.file)
            state = {"used": 0, "next_slot": 0.0, "blocked_until": 0.0} | before
            today = datetime.fromtimestamp(self.now(), UTC).date().isoformat()
            if state.get("day") != today:
                state |= {"day": today, "used": 0}
            yield state
            if state != before:
                write_atomically(self.file, json.dumps(state) + "\n")


def _read_state(file: Path) -> dict[str, Any]:
    """The stored state; nothing when there is none or it cannot be read (the publisher counts too,
    and its refusal is kept here)."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@dataclass
class Client:
    """Asks one publisher. `secrets` are headers whose values appear nowhere else."""

    base_url: str
    name: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    allowance: Allowance | None = None
    sleep: Callable[[float], None] = time.sleep
    randomness: random.Random = field(default_factory=random.Random, repr=False)
    max_bytes: int = 200 << 20

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        expected: Expected = "json",
        check: Callable[[Answer], object] | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> Answer:
        """Ask until there is an answer that is what was promised.

        `etag` and `last_modified` make the request conditional: the answer may then be unchanged.
        `check(answer)` may raise TransientSourceError to have it asked again. Raises
        PermanentSourceError at once, TransientSourceError after the last try, QuotaExhaustedError
        when no call is left.
        """
        params = dict(params or {})
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in conditions.items() if value}
        retrying = Retrying(
            stop=stop_after_attempt(self.policy.attempts),
            wait=self._wait,
            retry=retry_if_exception(_may_pass),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            answer: Answer = retrying(self._once, path, params, headers, expected, check)
        except QuotaExhaustedError:
            raise
        except TransientSourceError as error:
            raise TransientSourceError(
                f"{error} Asked {self.policy.attempts} times. Nothing was changed; a later refresh "
                "may succeed.",
                error.retry_after_seconds,
            ) from None
        return answer

    def _wait(self, state: RetryCallState) -> float:
        """Twice as long each time, with jitter; longer when the publisher says so."""
        error = state.outcome.exception() if state.outcome else None
        backoff = self.policy.first_wait * 2.0 ** (state.attempt_number - 1)
        wait = min(backoff, self.policy.longest_wait) * self.randomness.uniform(0.5, 1.0)
        asked = error.retry_after_seconds if isinstance(error, TransientSourceError) else None
        return max(wait, asked or 0.0)

    def _once(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        expected: Expected,
        check: Callable[[Answer], object] | None,
    ) -> Answer:
        if self.allowance:
            self.allowance.take()
        url = f"{self.base_url.rstrip('/')}/{path.lstrip('/')}" if path else self.base_url
        shown = f"{self.name}: GET {httpx.URL(url, params=dict(params) or None)}"
        problem: SourceError | None = None
        try:
            response, body = self._send(url, params, headers, shown)
        except SourceError:
            raise
        except httpx.HTTPError as error:
            # Raised below, outside of the handler: the exception of httpx holds the request, and
            # the request holds the key.
            problem = _of_transport(error, shown, self._without_secrets(str(error)))
        except httpx.InvalidURL as error:
            problem = PermanentSourceError(f"{shown} is no address: {error}. Correct the setting.")
        if problem:
            raise problem
        self._check_status(response, body, shown, conditional=bool(headers))
        answer = Answer(
            url=str(httpx.URL(url)),
            params=dict(params),
            status=response.status_code,
            body=body,
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
            retrieved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if not answer.is_unchanged:
            self._check_content(response, body, expected, shown)
            if check:
                check(answer)
        return answer

    def _send(
        self, url: str, params: Mapping[str, str], headers: Mapping[str, str], shown: str
    ) -> tuple[httpx.Response, bytes]:
        timeout = httpx.Timeout(self.policy.read_timeout, connect=self.policy.connect_timeout)
        secret = {name: value.get_secret_value() for name, value in self.secrets.items()}
        with (
            # A redirect would carry the key to whoever it names, so none is followed with one.
            httpx.Client(timeout=timeout, follow_redirects=not secret, verify=_tls()) as client,
            client.stream(
                "GET",
                url,
                params=dict(params) or None,
                headers={"User-Agent": USER_AGENT, **headers, **secret},
            ) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > self.max_bytes:
                    raise PermanentSourceError(
                        f"{shown}: the answer is larger than {self.max_bytes:,} bytes, which "
                        "cannot be what was asked for. Nothing of it is used."
                    )
        if any(value.encode() in body for value in secret.values()):
            raise PermanentSourceError(
                f"{shown}: the answer repeats the key it was asked with, so it is not kept. "
                "Check what answers at this address, and renew the key."
            )
        return response, bytes(body)

    def _without_secrets(self, text: str) -> str:
        for value in self.secrets.values():
            for form in (value.get_secret_value(), repr(value.get_secret_value())[1:-1]):
                text = text.replace(form, "(the key)")
        return text

    def _check_status(
        self, response: httpx.Response, body: bytes, shown: str, *, conditional: bool
    ) -> None:
        status = response.status_code
        if status == httpx.codes.OK or (status == httpx.codes.NOT_MODIFIED and conditional):
            return
        said = _excerpt(body)
        if status == httpx.codes.FORBIDDEN and (seconds := quota_seconds(body)) is not None:
            self._out_of_quota(shown, seconds)
        if status in _PASSING_STATUS or status >= 500:
            asked = _retry_after(response.headers.get("Retry-After"))
            if asked is not None and asked > self.policy.longest_retry_after:
                self._out_of_quota(shown, asked)
            raise TransientSourceError(f"{shown} was answered with status {status}{said}.", asked)
        raise PermanentSourceError(
            f"{shown} was refused with status {status}{said}. {_advice(status, bool(self.secrets))}"
        )

    def _out_of_quota(self, shown: str, seconds: float) -> NoReturn:
        if self.allowance:
            self.allowance.block(seconds)
        raise QuotaExhaustedError(
            f"{shown}: the publisher gives no more answers for {timedelta(seconds=int(seconds))} "
            "(hours:minutes:seconds). What was fetched is kept; a refresh after that goes on from "
            "there.",
            seconds,
        )

    def _check_content(
        self, response: httpx.Response, body: bytes, expected: Expected, shown: str
    ) -> None:
        if not body.strip():
            raise TransientSourceError(f"{shown} was answered with status 200 and an empty body.")
        start = body.lstrip()[:32].lower()
        if start.startswith((b"<!doctype html", b"<html")):
            raise TransientSourceError(
                f"{shown} was answered with a page of HTML where {expected} was promised"
                f"{_excerpt(body)}. It is usually a notice of maintenance or a gateway's."
            )
        if expected == "json":
            _parse_json(body, shown)
        elif not body.startswith(_MAGIC[expected][0]):
            raise TransientSourceError(
                f"{shown}: the answer is not {_MAGIC[expected][1]}, it begins with {body[:8]!r}."
            )


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes a tenth of a second: once a process."""
    return httpx.create_ssl_context()


def _parse_json(body: bytes, shown: str) -> None:
    try:
        json.loads(body, parse_constant=_no_number)
    except ValueError as error:
        raise TransientSourceError(
            f"{shown}: the answer of {len(body):,} bytes is not whole JSON ({error}). It was cut "
            "short or damaged on the way."
        ) from error


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, TransientSourceError) and not isinstance(error, QuotaExhaustedError)


def _of_transport(error: httpx.HTTPError, shown: str, words: str) -> SourceError:
    """The failure to get any answer, as passing or as lasting."""
    kind = type(error).__name__
    if isinstance(error, httpx.UnsupportedProtocol | httpx.TooManyRedirects):
        return PermanentSourceError(f"{shown}: {kind}: {words}. Correct the address it is set to.")
    if isinstance(error, httpx.LocalProtocolError):
        return PermanentSourceError(f"{shown} could not be asked: {words}. Correct the settings.")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PermanentSourceError(
                f"{shown}: the server's certificate is not trusted ({cause.verify_message}). Check "
                "the address; behind a proxy that signs anew, set SSL_CERT_FILE to its certificate."
            )
        cause = cause.__cause__ or cause.__context__
    return TransientSourceError(f"{shown} got no whole answer: {kind}: {words}.")


def _advice(status: int, has_key: bool) -> str:
    if status in {401, 403}:
        given = "The key given is not accepted" if has_key else "A key is needed"
        return f"{given}: see docs/operations.md on how to get one. It is not asked again."
    if 300 <= status < 400:
        return "The publisher moved: set the address in the settings to the new one."
    return "The same request would be refused again, so it is not repeated."


def quota_seconds(body: bytes) -> float | None:
    """Seconds until the quota is filled again, from a body such as 'Out of call volume quota. Quota
    will be replenished in 07:12:09.'; None when the body says nothing about a quota."""
    text = body.decode("utf-8", "replace")
    if "quota" not in text.lower():
        return None
    if found := re.search(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", text):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    return 3600.0


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(moment.tzinfo or UTC)).total_seconds())


def _excerpt(body: bytes) -> str:
    text = re.sub(r"<[^>]*>", " ", body[:2000].decode("utf-8", "replace"))
    text = re.sub(r"\s+", " ", text).strip()
    return f" and the words: {text[:_EXCERPT]}" if text else ""
