"""The hot path on PostgreSQL: straight on asyncpg."""
