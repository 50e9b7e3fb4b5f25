"""What `hookline serve` is made of: one process that serves, or one that looks after several."""
