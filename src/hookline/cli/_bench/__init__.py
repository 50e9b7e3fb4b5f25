"""What `hookline bench` measures with: a receiver in a process of its own, and the run."""
