"""The doctor: looks at a deployment, changes nothing, says what to do."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from hookline._domain import checks_database, checks_delivery, readiness
from hookline._domain.address import Policy
from hookline._domain.encryption import parse_keys
from hookline._domain.finding import Finding, number, ok, problem, warning
from hookline._domain.readiness import Readiness
from hookline._domain.vitals import Vitals
from hookline._engine import open_files
from hookline._ports import Store
from hookline._said import Said, message
from hookline.errors import StorageError

if TYPE_CHECKING:
    from hookline._engine.worker import Worker
    from hookline._settings import Settings

PATIENCE = 60.0
"""Seconds for everything the database is asked."""
Probe = Callable[[Iterable[tuple[str, Policy, str | None]]], Awaitable[Mapping[str, str]]]
"""Connects to the hosts of URLs, which have their own authority (PEM) or the system's.

Returns, by address, why those that failed did.
"""


def migrates(settings: "Settings") -> bool:
    """Return whether a start brings the schema up to date by itself."""
    local = settings.database.startswith("sqlite")
    return settings.migrate == "always" or (settings.migrate == "auto" and local)


async def examine(
    store: Store,
    settings: "Settings",
    now: Callable[[], int],
    probe: Probe | None,
    terms: checks_delivery.Terms,
) -> list[Finding]:
    """Return the result of every check that can be made."""
    findings = [_open_files(settings.max_in_flight)]
    try:
        async with asyncio.timeout(PATIENCE):
            vitals = await store.vitals(now)
    except StorageError as error:
        return [_unreachable(message(error)), *findings]
    except TimeoutError:
        late = Said("no answer to all questions within {seconds:g} s", seconds=PATIENCE)
        return [_unreachable(late), *findings]
    findings = [*_database(vitals, migrates(settings)), *findings]
    if vitals.pulse.schema.current:
        keys = parse_keys(settings.encryption_key)
        findings += checks_delivery.delivery(vitals, settings.policy(), terms, keys)
        if probe is not None:
            findings.append(await _reachable(vitals, settings, probe))
    return findings


def _database(vitals: Vitals, migrated: bool) -> list[Finding]:
    findings = [checks_database.reach(vitals), checks_database.schema(vitals, migrated)]
    if vitals.postgres is not None:
        delivering = vitals.pulse.delivering
        findings += checks_database.postgres(vitals.postgres, delivering=delivering)
    if vitals.sqlite is not None:
        findings += checks_database.sqlite(vitals.sqlite)
    return findings


def _unreachable(reason: str) -> Finding:
    advice = Said(
        "nothing else can be checked before; the address is HOOKLINE_DATABASE or --database"
    )
    return problem("database", reason, advice)


def _open_files(max_in_flight: int) -> Finding:
    limits, needed = open_files.limits(), open_files.needed(max_in_flight)
    if limits is None:
        return ok("open-files", Said("this platform sets no limit"))
    wants = Said("max_in_flight={most:,} needs {needed:,}", most=max_in_flight, needed=needed)
    if limits.hard < needed:
        return problem(
            "open-files",
            Said("{count:,} open files allowed at most, {wants}", count=limits.hard, wants=wants),
            Said(
                "LimitNOFILE= in the systemd unit, --ulimit nofile= of the container, or a smaller "
                "HOOKLINE_MAX_IN_FLIGHT"
            ),
        )
    if limits.soft < needed:
        return warning(
            "open-files",
            Said("{count:,} open files allowed, {wants}", count=limits.soft, wants=wants),
            Said(
                "hookline worker raises it by itself; for an application that delivers: "
                "ulimit -n {count}",
                count=needed + open_files.KEPT,
            ),
        )
    return ok("open-files", Said("{count:,} allowed, {wants}", count=limits.soft, wants=wants))


async def _reachable(vitals: Vitals, settings: "Settings", probe: Probe) -> Finding:
    policy, proxying = settings.policy(), settings.proxying()
    urls = [
        (each.url, policy.widened(each.allowed_networks), each.ca)
        for each in vitals.active
        if each.client_certificate is None and proxying.of(each.proxy) is None
    ]
    failed = await probe(urls)
    if not failed:
        summary = Said("{endpoints} can be connected to", endpoints=number(len(urls), "endpoint"))
        left_out = len(vitals.active) - len(urls)
        if left_out:
            more = Said(
                "{count} behind a proxy or with a client certificate not tried", count=left_out
            )
            summary = Said("{what}; {more}", what=summary, more=more)
        return ok("reachable", summary)
    return warning(
        "reachable",
        Said("{hosts} cannot be connected to from here", hosts=number(len(failed), "host")),
        Said("check the URL, the firewall's rules for what goes out, and ask the receiver"),
        (f"{address}: {reason}" for address, reason in sorted(failed.items())),
    )


async def ready(store: Store, pids: Iterable[int], worker: "Worker | None") -> Readiness:
    """Return whether the processes `pids` of this machine are able to deliver.

    `worker` is the one of this very process, if it is among them.
    """
    try:
        pulse = await store.pulse()
    except StorageError as error:
        return readiness.unreachable(message(error))
    # On SQLite processes do not sign on: which one has the file only that one knows.
    owner = pulse.owned is None or worker is None or worker._working  # noqa: SLF001
    return readiness.judge(pulse, socket.gethostname(), pids, standing_by=not owner)
