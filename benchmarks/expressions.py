"""`python -m benchmarks.expressions`: what a filter and a transformation cost, by library.

Ours, and beside it those of `jmespath`, `cel-python`, `common-expression-language` and
`cel-expr-python` that are installed where this runs. Hostile expressions are tried in a process
each, with 10 s and 2 GiB.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

SECONDS, MEMORY, LEAST = 10, 2 << 30, 0.5
"""Seconds and bytes a hostile expression has; seconds one figure is measured for."""

JMES_FILTER = (
    "data.amount > `100` && data.currency == 'EUR' && contains(['DE', 'FR'], data.customer.country)"
)
JMES_TRANSFORM = (
    "{text: join(' ', ['Order', data.id, data.customer.name]), total: data.amount, "
    "skus: data.items[?qty > `2`].sku}"
)
CEL_FILTER = (
    "data.amount > 100.0 && data.currency == 'EUR' && data.customer.country in ['DE', 'FR']"
)
CEL_TRANSFORM = (
    "{'text': 'Order ' + data.id + ' ' + data.customer.name, 'total': data.amount, "
    "'skus': data.items.filter(i, i.qty > 2).map(i, i.sku)}"
)
DOUBLED = " | ".join(["[@, @]"] * 40)
JMES_HOSTILE = {
    "1,000 brackets": "{a: " + "[" * 1000 + "@" + "]" * 1000 + "}",
    "loops in loops": "{a: data.items" + "[].[@, @, @, @, @, @, @, @][]" * 6 + "}",
    "doubled lists": f"{{a: {DOUBLED}}}",
    "doubled text": "{a: to_string(@) | " + " | ".join(["join('', [@, @])"] * 40) + "}",
    "compared": f"{{a: ({DOUBLED}) == ({DOUBLED})}}",
}
CEL_HOSTILE = {
    "1,000 brackets": "[" * 1000 + "1" + "]" * 1000,
    "loops in loops": "data.items.all(a, data.items.all(b, data.items.all(c, a.qty + b.qty >= 0)))",
    "doubled text": "['" + "a" * 50 + "']" + ".map(x, x+x+x+x+x+x+x+x)" * 12 + ".size() > 0",
}


def body(items: int) -> dict[str, Any]:
    """Return an order with so many items: 3 are 400 bytes, 1,700 are 100 KiB."""
    return {
        "event": "order.created",
        "data": {
            "id": "o-1",
            "amount": 129.5,
            "currency": "EUR",
            "customer": {"name": "张三", "country": "DE"},
            "items": [
                {"sku": f"A-{n}", "price": n * 1.5, "qty": n % 7, "tags": ["x", "y"]}
                for n in range(items)
            ],
        },
        "timestamp": "2025-10-17T10:30:00.000Z",
    }


Run = Callable[[Any], Any]


def ours(text: str) -> Run:
    from hookline._domain.expression import Document, Filter, Transform

    if text.startswith("{"):
        transform = Transform(text)
        return lambda content: transform.transformed(Document(json.dumps(content).encode()))
    condition = Filter(text)
    return lambda content: condition.passes(Document(json.dumps(content).encode()))


def ours_parsed(text: str) -> Run:
    """Our evaluation alone, the body parsed before: what the others are timed for."""
    from hookline._domain.expression.meter import Meter
    from hookline._domain.expression.syntax import parse
    from hookline._domain.expression.tree import build

    run = build(parse(text)).run
    return lambda content: run(content, Meter())


def jmespath_(text: str) -> Run:
    import jmespath

    return jmespath.compile(text).search


def cel_python(text: str) -> Run:
    import celpy

    environment = celpy.Environment()
    program = environment.program(environment.compile(text))
    return lambda content: program.evaluate(
        {name: celpy.json_to_cel(value) for name, value in content.items()}
    )


def cel_rust(text: str) -> Run:
    import cel

    return cel.compile(text).execute


def cel_cpp(text: str) -> Run:
    from cel_expr_python import cel

    program = cel.NewEnv(variables={"data": cel.Type.DYN}).compile(text)
    return lambda content: program.eval(data={"data": content["data"]})


SIDES: dict[str, tuple[str, str, Callable[[str], Run]]] = {
    "Hookline": ("jmespath", "jmes", ours_parsed),
    "jmespath": ("jmespath", "jmes", jmespath_),
    "cel-python": ("celpy", "cel", cel_python),
    "common-expression-language": ("cel", "cel", cel_rust),
    "cel-expr-python": ("cel_expr_python", "cel", cel_cpp),
}


def timed(work: Callable[[], Any]) -> float:
    """Return the microseconds one call takes, on average."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < LEAST:
        work()
        count += 1
    return (time.perf_counter() - began) / count * 1e6


def speed(name: str) -> None:
    _, language, make = SIDES[name]
    texts = (JMES_FILTER, JMES_TRANSFORM) if language == "jmes" else (CEL_FILTER, CEL_TRANSFORM)
    figures = []
    for text in texts:
        run = make(text)
        figures += [timed(lambda c=content, r=run: r(c)) for content in (body(3), body(1700))]
    print(f"{name:28}" + "".join(f"{figure:12,.1f}" for figure in figures))


def hostile(name: str, case: str) -> None:
    """Try one hostile expression in this process, and say what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _, language, make = SIDES[name]
    text = (JMES_HOSTILE if language == "jmes" else CEL_HOSTILE)[case]
    content, began = body(1700), time.perf_counter()
    try:
        result = (ours if name == "Hookline" else make)(text)(content)
        if name == "jmespath":
            json.dumps(result)
        said = "a result"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said
        said = f"{type(error).__name__}: {str(error)[:60]}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{time.perf_counter() - began:8.3f} s {peak:6,} MiB  {said}")


def main() -> None:
    """Print the figures; or, given a side and a case, try that one."""
    if len(sys.argv) > 1:
        hostile(*sys.argv[1:])
        return
    there = [name for name, (module, _, _) in SIDES.items() if find_spec(module)]
    sizes = [f"{len(json.dumps(body(n))):,} B" for n in (3, 1700)]
    print(f"µs per evaluation{'':11}" + "".join(f"{each:>12}" for each in [*sizes, *sizes]))
    print(f"{'':28}{'filter':>24}{'transform':>24}")
    for name in there:
        speed(name)
    for name in there:
        for case in JMES_HOSTILE if SIDES[name][1] == "jmes" else CEL_HOSTILE:
            command = [sys.executable, "-m", "benchmarks.expressions", name, case]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=SECONDS, check=False
                )
                said = done.stdout.rstrip() or f"the process died: {done.returncode}"
            except subprocess.TimeoutExpired:
                said = f"still at it after {SECONDS} s"
            print(f"{name:28}{case:16}{said}")


if __name__ == "__main__":
    main()
