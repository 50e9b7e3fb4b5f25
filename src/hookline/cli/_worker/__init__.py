"""What `hookline worker` is made of: one process that delivers, or one that looks after several."""
