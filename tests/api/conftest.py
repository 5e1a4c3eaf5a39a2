from tests.tenants.conftest import cluster, place, races

__all__ = ["cluster", "place", "races"]
