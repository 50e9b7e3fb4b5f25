"""Erasing all contents of an application over REST."""

PATH = "/app/default/msg/expunge-all-contents"


async def test_all_contents_are_erased_in_the_background(serve):
    """A task, with its progress; the messages stay known."""
    async with serve(deliver=True) as s:
        body = {"eventType": "a.b", "payload": {"card": "s3cr3t"}}
        made = (await s.api.post("/app/default/msg", json=body)).json()
        answer = await s.api.post(PATH)
        assert (answer.status_code, answer.json()["task"]) == (202, "application.purge_content")
        name = answer.json()["id"]
        job = await s.webhooks.job(name)
        assert (await job.finished(10)).done == 1
        task = (await s.api.get(f"/background-task/{name}")).json()
        assert (task["status"], task["data"]["messagesPurged"]) == ("finished", 1)
        kinds = {}
        for kind in ("application.purge_content", "endpoint.bulk-replay"):
            listed = await s.api.get("/background-task", params={"task": kind})
            kinds[kind] = [each["id"] for each in listed.json()["data"]]
        assert kinds == {"application.purge_content": [name], "endpoint.bulk-replay": []}
        found = await s.api.get(f"/app/default/msg/{made['id']}")
        assert found.status_code == 200
        assert "s3cr3t" not in found.text
        [line] = (await s.api.get("/audit", params={"action": "purge.*"})).json()["data"]
        assert line["target"] == name


async def test_who_may(serve):
    """Not a customer, not one who only looks."""
    async with serve() as s:
        assert await s.status(["read"], "POST", PATH) == 403
        assert await s.status(["application:default", "portal"], "POST", PATH) == 403
        assert await s.status(["application:default"], "POST", PATH) == 202
        assert (await s.api.post("/app/nobody/msg/expunge-all-contents")).status_code == 404
