"""What `hookline listen` does with a message: hand it to a program on this machine."""
