"""The REST API, one module per resource.

A resource is a `Router` (routes.py) whose operations take a caller (callers.py) and perhaps a page
of a list (lists.py), call the façade, and return an `Answer` (answers.py). They raise what the
façade raises: errors.py knows the answer. `app.py` puts the routers together.
"""
