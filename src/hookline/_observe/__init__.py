"""What people and machines are told about the work."""
