"""Telling the gate. The writing itself lives below reconciliation, which needs it as well."""

from tenants.feed import changed, revoked

__all__ = ["changed", "revoked"]
