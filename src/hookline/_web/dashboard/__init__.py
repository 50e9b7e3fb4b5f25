"""The operator's dashboard: pages made on the server, that work without JavaScript."""
