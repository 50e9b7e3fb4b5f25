"""The hot path on SQLite: one writer thread, straight on the driver."""
