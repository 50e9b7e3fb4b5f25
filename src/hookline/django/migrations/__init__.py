"""The schema, as `manage.py migrate` makes it."""
