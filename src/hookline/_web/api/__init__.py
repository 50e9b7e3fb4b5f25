"""The REST API, one module per resource.

A resource is a `Router` (routes.py) whose operations take a caller (callers.py) and perhaps a page
of a list (lists.py), call the façade, and return an `Answer` (answers.py). They raise what the
façade raises: errors.py knows the answer. `app.py` puts the routers together.

    router = Router("Application")

    @router.get(
        "/app/{app_id}",
        operation_id="v1.application.get",
        responses=answers(200, ApplicationOut, EXAMPLE) | errors_of(404),
    )
    async def get_application(application: Reading) -> Answer:
        return Answer(shown(await application.application()))

A POST that makes something hands `repeats.resource(request)` on as its id; one that publishes a
message is marked `@repeats.by_itself` and hands on `await repeats.message_key(request)`.
"""
