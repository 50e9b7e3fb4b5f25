"""What the whole application shares: its webhooks."""
