"""`python -m provider.cli` in a checkout, without installing anything."""

from provider.cli.main import run

run()
