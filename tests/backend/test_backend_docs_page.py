"""The interactive documentation works without any network."""

import re

from backend_support import Backend


def test_docs_page_loads_nothing_from_outside(backend: Backend) -> None:
    """Every script, style and picture comes from the application itself, and is there."""
    page = backend.http.get("/docs")
    assert page.status_code == 200
    assert "//" not in re.sub(r"<!--.*?-->|//[^\n'\"]*\n", "", page.text), page.text
    assets = re.findall(r"""(?:src|href)="([^"]+)\"""", page.text)
    assert any(each.endswith(".js") for each in assets)
    assert any(each.endswith(".css") for each in assets)
    for asset in assets:
        assert backend.http.get(asset).status_code == 200, asset
    # Swagger's badge would send the address of the API to an outside validator.
    assert '"validatorUrl": null' in page.text


def test_every_operation_is_explained(backend: Backend) -> None:
    """Each has a summary of its own, a description and one tag; each input field an example."""
    document = backend.http.get("/openapi.json").json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    summaries = {each["summary"] for each in operations}
    assert len(summaries) == len(operations)
    assert all(each["description"] and len(each["tags"]) == 1 for each in operations)
    for name in ("CustomerCreate", "CustomerUpdate", "ProductCreate", "Rejection", "CustomerOut"):
        fields = document["components"]["schemas"][name]["properties"]
        missing = [key for key, field in fields.items() if not field.get("examples")]
        assert missing in ([], ["created_at", "updated_at"]), name


def test_front_door_leads_to_the_docs(backend: Backend) -> None:
    """A person who opens the address sees something useful."""
    answer = backend.http.get("/", follow_redirects=True)
    assert answer.url.path == "/docs"
