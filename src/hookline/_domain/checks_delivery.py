"""Judging how deliveries get on: workers, what waits, and the endpoints."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from hookline._domain.address import Policy, Verdict, judge_url
from hookline._domain.breaker import DISABLE_AFTER, WARN_AFTER, Circuit, CircuitState
from hookline._domain.encryption import EncryptionKey
from hookline._domain.finding import Finding, number, ok, problem, span, warning
from hookline._domain.history import MOST_QUEUED, queued
from hookline._domain.url import parse
from hookline._domain.vitals import EndpointSigns, Pulse, Vitals
from hookline._said import Said, message, row
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
NOBODY = Said("no worker is running: hookline worker")
SEE_LOG = Said("look for 'Trouble while looking for work' in the log of the workers")


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
        if not hosts:
            return ok("workers", Said("a process delivers"))
        many = number(len(pulse.living), "worker")
        machines = number(hosts, "machine")
        return ok("workers", Said("{workers} on {machines}", workers=many, machines=machines))
    if pulse.owned is None and vitals.sqlite is not None:
        text = Said("whether a process delivers cannot be told on this platform")
        return ok("workers", text)
    start = Said("start one: hookline worker, or an application that delivers (deliver=true)")
    waiting = [
        text
        for count, text in (
            (vitals.unrouted, number(vitals.unrouted, "new message")),
            (sum(due), Said("{deliveries} due", deliveries=deliveries(due))),
        )
        if count
    ]
    if waiting:
        text = Said("no worker is running; waiting: {waiting}", waiting=row(waiting))
        return problem("workers", text, start)
    return warning("workers", Said("no worker is running: what is published waits"), start)


def deliveries(counts: Sequence[int]) -> Said:
    """Return a number of deliveries, counted by endpoint, with its noun: `12,000+ deliveries`."""
    if max(counts, default=0) >= MOST_QUEUED:
        return Said("{count:,}+ deliveries", count=sum(counts))
    return number(sum(counts), "delivery", "deliveries")


def dead_workers(pulse: Pulse) -> Finding:
    """Judge whether workers ended without saying so."""
    dead = [w for w in pulse.workers if not w.alive and w.silent_ms < RECENT]
    if not dead:
        return ok("dead-workers", Said("none ended without signing off"))
    return warning(
        "dead-workers",
        Said(
            "{workers} ended without signing off in the last hour",
            workers=number(len(dead), "worker"),
        ),
        Said(
            "killed, out of memory, or cut off from the database: their logs say which. "
            "Nothing is lost: others take over when the leases end"
        ),
        (
            Said(
                "process {pid} on {host}, silent for {age}",
                pid=w.pid,
                host=w.host,
                age=span(w.silent_ms),
            )
            for w in dead
        ),
    )


def unrouted(vitals: Vitals) -> Finding:
    """Judge whether new messages are taken up."""
    since = vitals.oldest_unrouted
    age = 0 if since is None else vitals.now - since
    if age < PATIENCE:
        text = Said("new messages are taken up") if vitals.unrouted else Said("none waits")
        return ok("unrouted", text)
    return problem(
        "unrouted",
        Said(
            "{messages} not taken up, the oldest for {age}",
            messages=number(vitals.unrouted, "message"),
            age=span(age),
        ),
        SEE_LOG if vitals.pulse.delivering else NOBODY,
    )


def backlog(vitals: Vitals, waiting: Iterable[EndpointSigns]) -> Finding:
    """Judge whether the workers keep up."""
    behind = sorted(waiting, key=lambda e: e.oldest_due or vitals.now)
    if not behind:
        return ok("backlog", Said("nothing is due"))
    age = vitals.now - (behind[0].oldest_due or vitals.now)
    summary = Said(
        "{deliveries} due, the oldest for {age}",
        deliveries=deliveries([e.due for e in behind]),
        age=span(age),
    )
    if age < BEHIND:
        return ok("backlog", summary)
    waits = [(e, vitals.now - (e.oldest_due or vitals.now)) for e in behind]
    items = (
        Said(
            "{url}: {count} due, the oldest for {age}",
            url=e.url,
            count=queued(e.due),
            age=span(waited),
        )
        for e, waited in waits
        if waited >= PATIENCE
    )
    if not vitals.pulse.delivering:
        advice = NOBODY
    elif len(behind) == 1:
        advice = Said(
            "raise its concurrency or rate_limit, or have the receiver answer faster: put its "
            "work into a queue and answer 202"
        )
    else:
        advice = Said("add workers (hookline worker --processes N), or raise max_in_flight")
    level = problem if age >= FAR_BEHIND else warning
    return level("backlog", summary, advice, items)


def leases(vitals: Vitals, waiting: Iterable[EndpointSigns]) -> Finding:
    """Judge whether what dead workers held is taken again."""
    stuck = [e for e in waiting if e.stuck]
    if not stuck:
        return ok("leases", Said("none is stuck"))
    many = sum(e.stuck for e in stuck)
    return warning(
        "leases",
        Said(
            "{leases} ran out more than a minute ago, and nobody took the work again",
            leases=number(many, "lease"),
        ),
        SEE_LOG if vitals.pulse.delivering else NOBODY,
        (f"{e.url}: {e.stuck:,}" for e in stuck),
    )


def circuits(vitals: Vitals) -> Finding:
    """Name the endpoints that are left alone for a while."""
    now, found = vitals.now, []
    for endpoint in vitals.active:
        circuit = endpoint.circuit
        if circuit is None or circuit.state is CircuitState.CLOSED:
            continue
        found.append(
            Said(
                "{url}: {failing}, {probe}; {count} waiting",
                url=endpoint.url,
                failing=_failing(circuit, now),
                probe=_probe(circuit, now),
                count=queued(endpoint.due),
            )
        )
    if not found:
        return ok("circuits", Said("all closed"))
    return warning(
        "circuits",
        Said(
            "{endpoints} left alone after failing too often",
            endpoints=number(len(found), "endpoint"),
        ),
        Said("ask the receiver; sending goes on by itself once a probe succeeds"),
        found,
    )


def _failing(circuit: Circuit, now: int) -> Said:
    if circuit.failing_since is None:
        return Said("failing")
    return Said("failing for {age}", age=span(now - circuit.failing_since))


def _probe(circuit: Circuit, now: int) -> Said:
    if circuit.state is CircuitState.HALF_OPEN:
        return Said("a probe is under way")
    wait = circuit.blocked_until - now
    return Said("next probe in {time}", time=span(wait)) if wait > 0 else Said("a probe is due")


def failing(vitals: Vitals) -> Finding:
    """Name the endpoints that had no success for long."""
    now, found = vitals.now, []
    for endpoint in vitals.active:
        since = endpoint.circuit.failing_since if endpoint.circuit is not None else None
        if since is None or now - since < WARN_AFTER[0]:
            continue
        left = since + DISABLE_AFTER - now
        ends = Said("disabled at its next failure")
        if left > 0:
            ends = Said("disabled in {time}", time=span(left))
        age = span(now - since)
        found.append(Said("{url}: no 2xx for {age}, {ends}", url=endpoint.url, age=age, ends=ends))
    if not found:
        return ok("failing", Said("none has been failing for a day"))
    return warning(
        "failing",
        Said(
            "{endpoints} without one success for more than a day",
            endpoints=number(len(found), "endpoint"),
        ),
        Said("ask the receiver, correct the URL, or disable it yourself with a reason"),
        found,
    )


def disabled(vitals: Vitals) -> Finding:
    """Name the disabled endpoints that hold deliveries."""
    off = [e for e in vitals.endpoints if e.disabled]
    holding = [e for e in off if e.held]
    if not holding:
        text = Said("{count:,}, nothing held", count=len(off)) if off else Said("none")
        return ok("disabled", text)
    return warning(
        "disabled",
        Said(
            "{endpoints} {deliveries}",
            endpoints=number(len(holding), "disabled endpoint holds", "disabled endpoints hold"),
            deliveries=deliveries([e.held for e in holding]),
        ),
        Said("when the receiver is well again: await webhooks.enable(url) sends what is held"),
        (
            Said(
                "{url}: {reason}, {age} ago; {count} held",
                url=e.url,
                reason=e.disabled_reason or Said("disabled"),
                age=span(vitals.now - (e.disabled_at or vitals.now)),
                count=queued(e.held),
            )
            for e in holding
        ),
    )


def pending(vitals: Vitals) -> Finding:
    """Name the endpoints that have not proved yet that they expect webhooks, and say why."""
    waiting = [e for e in vitals.active if e.pending_since is not None]
    if not waiting:
        return ok("pending", Said("every endpoint that has to be is verified"))
    return warning(
        "pending",
        Said(
            "{endpoints} not verified: nothing is sent there but the handshake",
            endpoints=number(len(waiting), "endpoint"),
        ),
        Said("have the receiver answer it, then: await webhooks.verify_endpoint(url)"),
        (_pending(each, vitals.now) for each in waiting),
    )


def _pending(endpoint: EndpointSigns, now: int) -> Said:
    again = Said("not asked again by itself")
    if endpoint.next_try_at is not None:
        again = Said("asked again in {time}", time=span(max(0, endpoint.next_try_at - now)))
    return Said(
        "{url}: {why}; pending for {age}, {again}, {count} held",
        url=endpoint.url,
        why=endpoint.pending_detail or Said("not asked yet"),
        age=span(now - (endpoint.pending_since or now)),
        again=again,
        count=queued(endpoint.held),
    )


def secrets(vitals: Vitals, keys: Sequence[EncryptionKey]) -> Finding:
    """Judge whether stored secrets are encrypted, and with the key they should be."""
    total, names = sum(vitals.secrets.values()), [key.id for key in keys]
    lacking = sorted(set(vitals.secrets) - {"", *names})
    if not total:
        return ok("secrets", Said("none are stored"))
    if lacking:
        return problem(
            "secrets",
            Said(
                "encrypted with {keys}, which is not in HOOKLINE_ENCRYPTION_KEY: nothing starts",
                keys=row(lacking),
            ),
            Said("add that key behind the others, or restore it"),
        )
    stale = total - vitals.secrets.get(names[0] if names else "", 0)
    if not names:
        return warning(
            "secrets",
            Said("{secrets} unencrypted", secrets=_are(total)),
            Said(
                "make a key with hookline keys generate, set HOOKLINE_ENCRYPTION_KEY, then: "
                "hookline keys rotate"
            ),
        )
    if stale:
        return warning(
            "secrets",
            Said(
                "{secrets} not encrypted with the first key, {key}",
                secrets=_are(stale),
                key=names[0],
            ),
            "hookline keys rotate",
        )
    text = Said("{secrets} encrypted with the key {key}", secrets=_are(total), key=names[0])
    return ok("secrets", text)


def _are(count: int) -> Said:
    return number(count, "stored secret is", "stored secrets are")


def unsigned(vitals: Vitals) -> Finding:
    """Name the endpoints that get unsigned requests."""
    found = [e.url for e in vitals.active if not e.signed]
    if not found:
        text = Said("every endpoint has a secret") if vitals.active else Said("no endpoints")
        return ok("unsigned", text)
    return warning(
        "unsigned",
        Said(
            "{endpoints} without a secret: receivers cannot tell who is calling",
            endpoints=number(len(found), "endpoint"),
        ),
        Said("give it a secret where it is declared, or: await webhooks.rotate_secret(url)"),
        found,
    )


def plain_http(vitals: Vitals) -> Finding:
    """Name the endpoints that are reached over a network in clear."""
    found = [e.url for e in vitals.active if _in_clear(e.url)]
    if not found:
        return ok("plain-http", Said("none over a network"))
    return warning(
        "plain-http",
        Said(
            "{endpoints} over plain http: anybody on the way reads the payload",
            endpoints=number(len(found), "endpoint"),
        ),
        Said("use the receiver's https:// address"),
        found,
    )


def blocked(vitals: Vitals, policy: Policy) -> Finding:
    """Name the endpoints that the guard lets nothing be sent to, whatever their names lead to."""
    found = []
    for each in vitals.active:
        verdict = _verdict(each, policy)
        if verdict is not None:
            code, reason = verdict
            found.append(Said("{url}: {code}: {reason}", url=each.url, code=code, reason=reason))
    if not found:
        return ok("blocked", Said("no endpoint is where nothing may be sent"))
    return problem(
        "blocked",
        Said("{endpoints} where nothing may be sent", endpoints=number(len(found), "endpoint")),
        Said(
            "correct the URL, or allow the network: HOOKLINE_ALLOWED_NETWORKS, or on a developer's "
            "machine HOOKLINE_DEVELOPMENT=1"
        ),
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
        return ok("certificates", Said("no endpoint has its own"))
    read = [(url, name, terms(pem)) for url, name, pem in stored]
    if all(found is None for _, _, found in read):
        text = Said("when they end cannot be read: pip install 'hookline[crypto]'")
        return ok("certificates", text)
    now = datetime.fromtimestamp(vitals.now / 1000, UTC)
    ending = [
        (int((ends - now).total_seconds() * 1000), f"{url}: {name}, {subject}")
        for url, name, found in read
        for subject, _, ends in found or ()
    ]
    soon = sorted((left, what) for left, what in ending if left < SOON)
    if not soon:
        many = number(len(ending), "certificate")
        text = Said("{certificates}, none ends within 30 days", certificates=many)
        return ok("certificates", text)
    over = soon[0][0] <= 0
    return (problem if over else warning)(
        "certificates",
        Said(
            "{certificates} ended, or ends within 30 days",
            certificates=number(len(soon), "certificate"),
        ),
        Said(
            "register the endpoint with the new one; an authority's old and new one may stand "
            "together"
        ),
        (
            Said("{what}: ends in {time}", what=what, time=span(left))
            if left > 0
            else Said("{what}: ended {age} ago", what=what, age=span(-left))
            for left, what in soon
        ),
    )


def _verdict(endpoint: EndpointSigns, policy: Policy) -> Verdict | None:
    try:
        url = parse(endpoint.url)
    except InvalidUrl as error:
        return Verdict("malformed_url", message(error))
    return judge_url(url, policy.widened(endpoint.allowed_networks))


def _in_clear(url: str) -> bool:
    try:
        parsed = parse(url)
    except InvalidUrl:
        return False
    host = parsed.host
    here = host == "localhost" or host.endswith(".localhost") or host == "[::1]"
    return parsed.scheme == "http" and not here and not host.startswith("127.")
