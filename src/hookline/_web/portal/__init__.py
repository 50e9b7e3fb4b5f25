"""The customer portal: an application's endpoints and log, for whoever has a link to it."""
