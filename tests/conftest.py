"""For all tests. PostgreSQL and Redis come from tests.stores, before Django's settings are read."""
