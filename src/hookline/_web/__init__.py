"""The server's HTTP side: what every request goes through, and the REST API on top of it."""
