"""Kubernetes' quantities of bytes."""

import pytest

from k8s.kube.growing import bytes_of


@pytest.mark.parametrize(
    ("quantity", "size"),
    [
        ("2048Mi", 2**31),
        ("2Gi", 2**31),
        ("1.5Gi", 3 * 2**29),
        ("500M", 500_000_000),
        ("1k", 1000),
        ("1024", 1024),
        ("3Ti", 3 * 2**40),
    ],
)
def test_a_quantity_is_so_many_bytes(quantity: str, size: int) -> None:
    assert bytes_of(quantity) == size
