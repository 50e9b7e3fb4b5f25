"""`hookline sink`: its server, its terminal and its page."""
