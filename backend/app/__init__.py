"""The guide's backend: customers, their documents, products, and the webhooks they cause."""
