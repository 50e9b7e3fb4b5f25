"""Where messages, deliveries and their history live."""
