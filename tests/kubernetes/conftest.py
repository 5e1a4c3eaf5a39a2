"""What only a Kubernetes can show; collected by `make test-cluster` alone."""

import os

from tests.contract.conftest import lane, tenant

__all__ = ["lane", "tenant"]
collect_ignore_glob = [] if os.environ.get("FREEHOLD_TEST_LANE") == "kubernetes" else ["test_*.py"]
