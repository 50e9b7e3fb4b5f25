"""The reference pages that are made from the code: `python docs/generate.py` writes them anew.

`tests/docs` checks that they are current.
"""

# A script, not a package; and the rows of a table cannot be wrapped.
# ruff: noqa: INP001, E501

import inspect
import re
import runpy
from dataclasses import fields
from itertools import accumulate
from pathlib import Path
from typing import Any

from hookline import errors, receiver
from hookline._domain import breaker, delivery, retry
from hookline._domain.delivery import TRANSITIONS, DeliveryState, Failure, Outcome
from hookline._domain.endpoint import DEFAULT_CONCURRENCY
from hookline._settings import CONFIG_FILE, PREFIX, Settings

DOCS = Path(__file__).parent
NOTE = (
    "<!-- Made from the code by `python docs/generate.py`. Change the code, not this page. -->\n\n"
)


def pages() -> dict[str, str]:
    """Return every generated page by its path below `docs/`."""
    made = {"settings": settings(), "errors": errors_tree(), "deliveries": deliveries()}
    for name in ("cli", "metrics"):
        made[name] = runpy.run_path(str(DOCS / f"{name}_page.py"))["page"]()
    many = {}
    for name in ("python", "api"):
        many |= runpy.run_path(str(DOCS / f"{name}_page.py"))["pages"]()
    return {
        path: NOTE + text
        for path, text in ({f"reference/{name}.md": t for name, t in made.items()} | many).items()
    }


# Settings ----------------------------------------------------------------------------------------


def settings() -> str:
    """Return the page about settings, from the fields of `Settings`."""
    rows = [
        f"| `{f.name}` | `{PREFIX}{f.name.upper()}` | {_default(f.default)} "
        f"| {_allowed(f.metadata)} | {f.metadata['help']} |"
        for f in fields(Settings)
    ]
    return f"""# Settings

A setting is taken from the first of these places that has it:

1. an argument, `Webhooks(timeout=10)` (`None` counts as not given);
2. an environment variable, `{PREFIX}TIMEOUT=10`;
3. `{CONFIG_FILE}` in the working directory, or the file that `{PREFIX}CONFIG` names: `timeout = 10`;
4. the default.

They are read once, when `Webhooks` is made. A value that cannot be used raises `InvalidSettings`
with its name, where it came from and what was expected.

| setting | variable | default | allowed | |
|---|---|---|---|---|
{chr(10).join(rows)}

Times are in seconds, sizes in bytes. A list is written `0,5,300` in a variable and `[0, 5, 300]` in
the file; a switch is `1 true yes on` or `0 false no off`.

```python
from hookline import Webhooks

webhooks = Webhooks(database="sqlite:///shop.db", timeout=10, retry_schedule=[0, 5, 60, 600])
print(webhooks.settings)
```

An endpoint may have its own `timeout` and `retry_schedule`: see
[Declare endpoints](../how-to/endpoints.md).
"""


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(f'{each:g}' for each in value)}`" if value else "none"
    if isinstance(value, str) and not value:
        return "none"
    return f"`{value:,}`" if isinstance(value, int) else f"`{value}`"


def _allowed(metadata: Any) -> str:
    low, high = metadata["low"], metadata["high"]
    return "" if low is None else f"{low:,} to {high:,}"


# Errors ------------------------------------------------------------------------------------------


def errors_tree() -> str:
    """Return the page about errors, from the tree in `hookline.errors` and its docstrings."""
    document = inspect.getdoc(errors) or ""
    tree = re.search(r"::\n\n(.*?)\n\n", document, re.DOTALL)
    if tree is None:
        raise ValueError("hookline.errors: its docstring has no tree")
    rows = [
        f"| `{name}` | {' '.join(cls.__doc__.split())} |"
        for name in errors.__all__
        if (cls := getattr(errors, name))
    ]
    reasons = "\n".join(f"- `{reason}`" for reason in receiver.Reason)
    return f"""# Errors

Every exception Hookline raises is in `hookline.errors`. A message says what came, what was
expected, and what to do; it never holds a secret.

```text
{inspect.cleandoc(tree[1])}
```

| class | |
|---|---|
{chr(10).join(rows)}

Whoever verifies what arrives meets one class only, `hookline.receiver.VerificationError`. Its
`reason` is one of these:

{reasons}

What `diagnose` finds is not an exception either: see
[the causes](../how-to/debug-signatures.md#the-causes).

What a receiver answers is never an exception: it is written into the log of attempts (see
[Deliveries](deliveries.md)).
"""


# Deliveries --------------------------------------------------------------------------------------

MEANINGS = {
    DeliveryState.PENDING: "due at `next_attempt_at`",
    DeliveryState.SENDING: "leased by a worker; when the lease runs out it is due again",
    DeliveryState.SUCCEEDED: "a 2xx came back",
    DeliveryState.EXHAUSTED: "the last attempt of the schedule failed; the log keeps it",
    DeliveryState.HELD: "the endpoint is disabled or pending; nothing is lost, it is sent when that ends",
    DeliveryState.CANCELED: "by `Webhooks.cancel`, or by the receiver's answer `webhook-delivery: abort-message`",
}
WAYS = {
    ("pending", "sending"): "claimed",
    ("pending", "held"): "endpoint disabled or pending",
    ("sending", "succeeded"): "2xx",
    ("sending", "pending"): "failed, or the lease ran out",
    ("sending", "exhausted"): "the last attempt failed",
    ("sending", "held"): "410, or the receiver said disable",
    ("sending", "canceled"): "the receiver said abort",
    ("succeeded", "pending"): "replay",
    ("exhausted", "pending"): "replay",
    ("held", "pending"): "enabled, verified",
}


def deliveries() -> str:
    """Return the page about deliveries, from the states, failures and schedule in `_domain`."""
    states = [
        f"| `{state}` | {MEANINGS[state]} | {'yes' if state.final else ''} |"
        for state in DeliveryState
    ]
    failures = [
        f"| `{failure}` | {delivery.describe(Outcome(status=_example(failure), failure=failure))} |"
        for failure in Failure
    ]
    return f"""# Deliveries

For each endpoint that wants a message there is one delivery. Each HTTP request for it is an
attempt, kept in the log.

```mermaid
{_diagram()}
```

| state | meaning | final |
|---|---|---|
{chr(10).join(states)}

Final means that nothing more happens by itself. `Webhooks.enable` brings back the held deliveries of
its endpoint, and a [replay](../how-to/replay.md) whatever you choose.

## What an answer means

| answer | |
|---|---|
| 200 to 299 | success, the only one |
| 300 to 399 | failure; redirects are never followed |
| 410, or the header `webhook-delivery: disable` | the endpoint is disabled with that reason; its deliveries are held |
| the header `webhook-delivery: abort-message` | this delivery is canceled |
| {", ".join(map(str, sorted(delivery.RETRY_AFTER_STATUSES)))} with `Retry-After` | failure; nothing is sent to this endpoint before that, {delivery.MAX_RETRY_AFTER // 3600} h at most |
| any other, or none | failure, tried again by the schedule |

A failed attempt has one of these classes in the log, and these words in the log line:

| class | words |
|---|---|
{chr(10).join(failures)}

## When it is tried again

{_schedule()}

## When an endpoint is in trouble

{_trouble()}
"""


def _example(failure: Failure) -> int | None:
    return {Failure.STATUS: 503, Failure.REDIRECT: 302}.get(failure)


def _diagram() -> str:
    lines = ["stateDiagram-v2", "    [*] --> sending: routed", "    [*] --> pending: routed, busy"]
    lines.append("    [*] --> held: routed, endpoint disabled or pending")
    for state, leads_to in TRANSITIONS.items():
        # In the order of the states: a set has none of its own.
        for target in (each for each in DeliveryState if each in leads_to):
            lines.append(f"    {state} --> {target}: {WAYS[state.value, target.value]}")
        if not leads_to:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines)


def _schedule() -> str:
    rows = [
        f"| {number} | {_span(delay)} | {_span(since) if number > 1 else ''} |"
        for number, (delay, since) in enumerate(
            zip(retry.DEFAULT, accumulate(retry.DEFAULT), strict=True), 1
        )
    ]
    return f"""The default schedule has {len(retry.DEFAULT)} attempts. Each delay is spread by
±{retry.JITTER * 100:g} %, so that what failed together does not return together.

| attempt | after the one before | since the first |
|---|---|---|
{chr(10).join(rows)}

`retry_schedule` sets another one, for all endpoints ([Settings](settings.md)) or for one
([Declare endpoints](../how-to/endpoints.md)): 1 to {retry.MAX_ATTEMPTS} delays in seconds,
each at most {retry.MAX_DELAY / 86400:g} days."""


def _trouble() -> str:
    pause, longest = _span(breaker.FIRST_PAUSE / 1000), _span(breaker.LONGEST_PAUSE / 1000)
    warned = " and ".join(_span(after / 1000) for after in breaker.WARN_AFTER)
    days = breaker.DISABLE_AFTER / 86_400_000
    return f"""One endpoint's trouble stays its own.

- At most {DEFAULT_CONCURRENCY} requests are in flight to it, unless it says otherwise (`concurrency`), and no more a
  second than it allows (`rate_limit`; no limit by default). What is over that waits.
- After {breaker.OPEN_AFTER} failures in a row its circuit opens: nothing is sent to it for {pause}, then one probe. As long as
  probes fail the pause doubles, up to {longest}. The first 2xx closes the circuit, and traffic grows from one
  request at a time to two, four and so on. Waiting is not failing: no attempt is counted for it.
- After {warned} without one 2xx a warning is logged. After {days:g} days, and at least {breaker.DISABLE_FAILED} failed attempts,
  the endpoint is disabled with that reason, and its deliveries are held."""


def _span(seconds: float) -> str:
    if seconds == 0:
        return "at once"
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if n]
    return " ".join(parts)


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / path).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
