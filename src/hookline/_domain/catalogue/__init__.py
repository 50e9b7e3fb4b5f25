"""The catalogue of event types as documents: schemas of bodies, OpenAPI, AsyncAPI, Markdown."""
