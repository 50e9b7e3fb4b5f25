"""What development needs and the package does not ship."""
