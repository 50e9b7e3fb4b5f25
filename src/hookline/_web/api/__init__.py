"""The REST API, one module per resource.

A resource is a `Router` (routes.py) whose operations take a caller (callers.py) and perhaps a page
of a list (lists.py), call the façade, and return an `Answer` (answers.py). They raise what the
façade raises: errors.py knows the answer. `app.py` puts the routers together.

    router = Router("Application")

    @router.get(
        "/app/{app_id}",
        operation_id="v1.application.get",
        response_model=ApplicationOut,
        responses=errors_of(404),
    )
    async def get_application(request: Request, app: Reading) -> Answer:
        return Answer(shown(await facade(request).applications.get(app.id)))

Its models are in models/, or beside the router; examples.py has an example of each.

A POST that makes something hands `repeats.resource(request)` on as its id; one that publishes a
message is marked `@repeats.by_itself` and hands on `await repeats.message_key(request)`.
"""
