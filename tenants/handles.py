"""Handles: how people are known to each other. One spelling each, and none that could be taken for the provider."""

import re
import unicodedata

RESERVED = frozenset(
    """
    about abuse accounts admin administrator api app apps assets auth billing blog catalog cloud clouds
    collections console contact data docs download email freehold gate healthz help home host hostmaster info
    instance instances legal live login logout mail me news none null operator owner password postmaster press
    privacy projects public register root security self settings shop signin signup ssl staff static status store
    support system team terms test tokens undefined user users webmaster www you
    """.split()
)
_SHAPE = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){2,31}")


class InvalidHandle(ValueError):
    """str() says what is wrong with it."""


def normalise(raw: str) -> str:
    """The one spelling of a handle: NFKC, lower case, 3 to 32 of a–z, 0–9 and single inner hyphens.

    Look-alikes from other scripts are refused rather than mapped. Raises InvalidHandle.
    """
    handle = unicodedata.normalize("NFKC", raw).strip().lower()
    if not 3 <= len(handle) <= 32:
        raise InvalidHandle("A handle has 3 to 32 characters.")
    if not _SHAPE.fullmatch(handle):
        raise InvalidHandle("Use the letters a–z, digits and single hyphens inside, beginning with a letter or digit.")
    if handle in RESERVED:
        raise InvalidHandle(f"“{handle}” is reserved. Please choose another handle.")
    return handle
