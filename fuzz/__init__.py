"""Fuzzing what takes hostile input: `make fuzz`, or `python -m fuzz url --seconds 600`."""
