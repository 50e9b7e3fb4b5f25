"""Judging how deliveries get on: workers, what waits, and the endpoints."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from hookline._domain.address import Policy, Verdict, judge_url
from hookline._domain.breaker import DISABLE_AFTER, WARN_AFTER, CircuitState
from hookline._domain.encryption import EncryptionKey
from hookline._domain.finding import Finding, number, ok, problem, span, warning
from hookline._domain.history import MOST_QUEUED, queued
from hookline._domain.url import parse
from hookline._domain.vitals import EndpointSigns, Pulse, Vitals
from hookline.errors import InvalidUrl

PATIENCE = 60_000
"""Milliseconds that something due may wait before a check speaks of it."""
BEHIND = 5 * 60_000
FAR_BEHIND = 60 * 60_000
"""Milliseconds the oldest due delivery waited: a warning, a problem."""
SOON = 30 * 24 * 3_600_000
"""Milliseconds before a certificate ends from which it is worth a word."""
Terms = Callable[[str], Sequence[tuple[str, datetime, datetime]] | None]
"""Returns subject, begin and end of the certificates in a PEM text; None where it cannot."""
RECENT = 60 * 60_000
"""Milliseconds for which a worker that died is worth a word."""


def delivery(
    vitals: Vitals, policy: Policy, terms: Terms, keys: Sequence[EncryptionKey]
) -> Iterator[Finding]:
    """Judge workers, backlog and endpoints."""
    waiting = [e for e in vitals.active if e.due and not e.waits(vitals.now)]
    yield workers(vitals, [e.due for e in waiting])
    yield dead_workers(vitals.pulse)
    yield unrouted(vitals)
    yield backlog(vitals, waiting)
    yield leases(vitals, waiting)
    yield circuits(vitals)
    yield failing(vitals)
    yield disabled(vitals)
    yield pending(vitals)
    yield secrets(vitals, keys)
    yield unsigned(vitals)
    yield plain_http(vitals)
    yield blocked(vitals, policy)
    yield certificates(vitals, terms)


def workers(vitals: Vitals, due: Sequence[int]) -> Finding:
    """Judge whether anybody delivers; so much is due at each endpoint."""
    pulse = vitals.pulse
    if pulse.delivering:
        hosts = len({worker.host for worker in pulse.living})
        many = number(len(pulse.living), "worker")
        text = f"{many} on {number(hosts, 'machine')}" if hosts else "a process delivers"
        return ok("workers", text)
    if pulse.owned is None and vitals.sqlite is not None:
        return ok("workers", "whether a process delivers cannot be told on this platform")
    start = "start one: hookline worker, or an application that delivers (deliver=true)"
    if any(due) or vitals.unrouted:
        waiting = [
            text
            for count, text in (
                (vitals.unrouted, number(vitals.unrouted, "new message")),
                (sum(due), deliveries(due) + " due"),
            )
            if count
        ]
        return problem("workers", f"no worker is running; waiting: {', '.join(waiting)}", start)
    return warning("workers", "no worker is running: what is published waits", start)


def deliveries(counts: Sequence[int]) -> str:
    """Return a number of deliveries, counted by endpoint, with its noun: `12,000+ deliveries`."""
    found = number(sum(counts), "delivery", "deliveries")
    return found.replace(" ", "+ ", 1) if max(counts, default=0) >= MOST_QUEUED else found


def dead_workers(pulse: Pulse) -> Finding:
    """Judge whether workers ended without saying so."""
    dead = [w for w in pulse.workers if not w.alive and w.silent_ms < RECENT]
    if not dead:
        return ok("dead-workers", "none ended without signing off")
    return warning(
        "dead-workers",
        f"{number(len(dead), 'worker')} ended without signing off in the last hour",
        "killed, out of memory, or cut off from the database: their logs say which. "
        "Nothing is lost: others take over when the leases end",
        (f"process {w.pid} on {w.host}, silent for {span(w.silent_ms)}" for w in dead),
    )


def unrouted(vitals: Vitals) -> Finding:
    """Judge whether new messages are taken up."""
    since = vitals.oldest_unrouted
    age = 0 if since is None else vitals.now - since
    if age < PATIENCE:
        return ok("unrouted", "new messages are taken up" if vitals.unrouted else "none waits")
    return problem(
        "unrouted",
        f"{number(vitals.unrouted, 'message')} not taken up, the oldest for {span(age)}",
        "look for 'Trouble while looking for work' in the log of the workers"
        if vitals.pulse.delivering
        else "no worker is running: hookline worker",
    )


def backlog(vitals: Vitals, waiting: Iterable[EndpointSigns]) -> Finding:
    """Judge whether the workers keep up."""
    behind = sorted(waiting, key=lambda e: e.oldest_due or vitals.now)
    if not behind:
        return ok("backlog", "nothing is due")
    age = vitals.now - (behind[0].oldest_due or vitals.now)
    summary = f"{deliveries([e.due for e in behind])} due, the oldest for {span(age)}"
    if age < BEHIND:
        return ok("backlog", summary)
    waits = [(e, vitals.now - (e.oldest_due or vitals.now)) for e in behind]
    items = (
        f"{e.url}: {queued(e.due)} due, the oldest for {span(waited)}"
        for e, waited in waits
        if waited >= PATIENCE
    )
    if not vitals.pulse.delivering:
        advice = "no worker is running: hookline worker"
    elif len(behind) == 1:
        advice = (
            "raise its concurrency or rate_limit, or have the receiver answer faster: put its "
            "work into a queue and answer 202"
        )
    else:
        advice = "add workers (hookline worker --processes N), or raise max_in_flight"
    level = problem if age >= FAR_BEHIND else warning
    return level("backlog", summary, advice, items)


def leases(vitals: Vitals, waiting: Iterable[EndpointSigns]) -> Finding:
    """Judge whether what dead workers held is taken again."""
    stuck = [e for e in waiting if e.stuck]
    if not stuck:
        return ok("leases", "none is stuck")
    many = sum(e.stuck for e in stuck)
    return warning(
        "leases",
        f"{number(many, 'lease')} ran out more than a minute ago, and nobody took the work again",
        "look for 'Trouble while looking for work' in the log of the workers"
        if vitals.pulse.delivering
        else "no worker is running: hookline worker",
        (f"{e.url}: {e.stuck:,}" for e in stuck),
    )


def circuits(vitals: Vitals) -> Finding:
    """Name the endpoints that are left alone for a while."""
    now, found = vitals.now, []
    for endpoint in vitals.active:
        circuit = endpoint.circuit
        if circuit is None or circuit.state is CircuitState.CLOSED:
            continue
        since = circuit.failing_since
        ago = "" if since is None else f" for {span(now - since)}"
        wait = circuit.blocked_until - now
        probe = f"next probe in {span(wait)}" if wait > 0 else "a probe is due"
        if circuit.state is CircuitState.HALF_OPEN:
            probe = "a probe is under way"
        found.append(f"{endpoint.url}: failing{ago}, {probe}; {queued(endpoint.due)} waiting")
    if not found:
        return ok("circuits", "all closed")
    return warning(
        "circuits",
        f"{number(len(found), 'endpoint')} left alone after failing too often",
        "ask the receiver; sending goes on by itself once a probe succeeds",
        found,
    )


def failing(vitals: Vitals) -> Finding:
    """Name the endpoints that had no success for long."""
    now, found = vitals.now, []
    for endpoint in vitals.active:
        since = endpoint.circuit.failing_since if endpoint.circuit is not None else None
        if since is None or now - since < WARN_AFTER[0]:
            continue
        left = since + DISABLE_AFTER - now
        ends = f"disabled in {span(left)}" if left > 0 else "disabled at its next failure"
        found.append(f"{endpoint.url}: no 2xx for {span(now - since)}, {ends}")
    if not found:
        return ok("failing", "none has been failing for a day")
    return warning(
        "failing",
        f"{number(len(found), 'endpoint')} without one success for more than a day",
        "ask the receiver, correct the URL, or disable it yourself with a reason",
        found,
    )


def disabled(vitals: Vitals) -> Finding:
    """Name the disabled endpoints that hold deliveries."""
    off = [e for e in vitals.endpoints if e.disabled]
    holding = [e for e in off if e.held]
    if not holding:
        return ok("disabled", f"{len(off):,}, nothing held" if off else "none")
    return warning(
        "disabled",
        f"{number(len(holding), 'disabled endpoint')} hold{'s' * (len(holding) == 1)} "
        f"{deliveries([e.held for e in holding])}",
        "when the receiver is well again: await webhooks.enable(url) sends what is held",
        (
            f"{e.url}: {e.disabled_reason or 'disabled'}, "
            f"{span(vitals.now - (e.disabled_at or vitals.now))} ago; {queued(e.held)} held"
            for e in holding
        ),
    )


def pending(vitals: Vitals) -> Finding:
    """Name the endpoints that have not proved yet that they expect webhooks, and say why."""
    waiting = [e for e in vitals.active if e.pending_since is not None]
    if not waiting:
        return ok("pending", "every endpoint that has to be is verified")
    return warning(
        "pending",
        f"{number(len(waiting), 'endpoint')} not verified: nothing is sent there but the handshake",
        "have the receiver answer it, then: await webhooks.verify_endpoint(url)",
        (_pending(each, vitals.now) for each in waiting),
    )


def _pending(endpoint: EndpointSigns, now: int) -> str:
    since = span(now - (endpoint.pending_since or now))
    why = endpoint.pending_detail or "not asked yet"
    again = "not asked again by itself"
    if endpoint.next_try_at is not None:
        again = f"asked again in {span(max(0, endpoint.next_try_at - now))}"
    return f"{endpoint.url}: {why}; pending for {since}, {again}, {queued(endpoint.held)} held"


def secrets(vitals: Vitals, keys: Sequence[EncryptionKey]) -> Finding:
    """Judge whether stored secrets are encrypted, and with the key they should be."""
    total, names = sum(vitals.secrets.values()), [key.id for key in keys]
    lacking = sorted(set(vitals.secrets) - {"", *names})
    if not total:
        return ok("secrets", "none are stored")
    if lacking:
        return problem(
            "secrets",
            f"encrypted with {', '.join(lacking)}, which is not in HOOKLINE_ENCRYPTION_KEY: "
            "nothing starts",
            "add that key behind the others, or restore it",
        )
    stale = total - vitals.secrets.get(names[0] if names else "", 0)
    if not names:
        return warning(
            "secrets",
            f"{_are(total)} unencrypted",
            "make a key with hookline keys generate, set HOOKLINE_ENCRYPTION_KEY, then: "
            "hookline keys rotate",
        )
    if stale:
        return warning(
            "secrets",
            f"{_are(stale)} not encrypted with the first key, {names[0]}",
            "hookline keys rotate",
        )
    return ok("secrets", f"{_are(total)} encrypted with the key {names[0]}")


def _are(count: int) -> str:
    return f"{number(count, 'stored secret')} {'is' if count == 1 else 'are'}"


def unsigned(vitals: Vitals) -> Finding:
    """Name the endpoints that get unsigned requests."""
    found = [e.url for e in vitals.active if not e.signed]
    if not found:
        return ok("unsigned", "every endpoint has a secret" if vitals.active else "no endpoints")
    return warning(
        "unsigned",
        f"{number(len(found), 'endpoint')} without a secret: receivers cannot tell who is calling",
        "give it a secret where it is declared, or: await webhooks.rotate_secret(url)",
        found,
    )


def plain_http(vitals: Vitals) -> Finding:
    """Name the endpoints that are reached over a network in clear."""
    found = [e.url for e in vitals.active if _in_clear(e.url)]
    if not found:
        return ok("plain-http", "none over a network")
    return warning(
        "plain-http",
        f"{number(len(found), 'endpoint')} over plain http: anybody on the way reads the payload",
        "use the receiver's https:// address",
        found,
    )


def blocked(vitals: Vitals, policy: Policy) -> Finding:
    """Name the endpoints that the guard lets nothing be sent to, whatever their names lead to."""
    found = []
    for each in vitals.active:
        verdict = _verdict(each, policy)
        if verdict is not None:
            found.append(f"{each.url}: {verdict}")
    if not found:
        return ok("blocked", "no endpoint is where nothing may be sent")
    return problem(
        "blocked",
        f"{number(len(found), 'endpoint')} where nothing may be sent",
        "correct the URL, or allow the network: HOOKLINE_ALLOWED_NETWORKS, or on a developer's "
        "machine HOOKLINE_DEVELOPMENT=1",
        found,
    )


def certificates(vitals: Vitals, terms: Terms) -> Finding:
    """Name the endpoints whose own certificates end soon, or have ended."""
    stored = [
        (each.url, name, pem)
        for each in vitals.active
        for name, pem in (("ca", each.ca), ("client_certificate", each.client_certificate))
        if pem is not None
    ]
    if not stored:
        return ok("certificates", "no endpoint has its own")
    read = [(url, name, terms(pem)) for url, name, pem in stored]
    if all(found is None for _, _, found in read):
        return ok("certificates", "when they end cannot be read: pip install 'hookline[crypto]'")
    now = datetime.fromtimestamp(vitals.now / 1000, UTC)
    ending = [
        (int((ends - now).total_seconds() * 1000), f"{url}: {name}, {subject}")
        for url, name, found in read
        for subject, _, ends in found or ()
    ]
    soon = sorted((left, what) for left, what in ending if left < SOON)
    if not soon:
        return ok("certificates", f"{number(len(ending), 'certificate')}, none ends within 30 days")
    over = soon[0][0] <= 0
    return (problem if over else warning)(
        "certificates",
        f"{number(len(soon), 'certificate')} ended, or ends within 30 days",
        "register the endpoint with the new one; an authority's old and new one may stand together",
        (
            f"{what}: {f'ends in {span(left)}' if left > 0 else f'ended {span(-left)} ago'}"
            for left, what in soon
        ),
    )


def _verdict(endpoint: EndpointSigns, policy: Policy) -> Verdict | None:
    try:
        url = parse(endpoint.url)
    except InvalidUrl as error:
        return Verdict("malformed_url", str(error))
    return judge_url(url, policy.widened(endpoint.allowed_networks))


def _in_clear(url: str) -> bool:
    try:
        parsed = parse(url)
    except InvalidUrl:
        return False
    host = parsed.host
    here = host == "localhost" or host.endswith(".localhost") or host == "[::1]"
    return parsed.scheme == "http" and not here and not host.startswith("127.")
