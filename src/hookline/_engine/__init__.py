"""The engine: publish, route, attempt, settle, in batches."""
