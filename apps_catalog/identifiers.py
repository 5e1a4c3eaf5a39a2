"""Ids: opaque, lower-case letters and digits only, so that they are valid labels, file names and parts of host names."""

import secrets

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def new_id(prefix: str) -> str:
    """`prefix` and 100 random bits, such as "ins4k7…": three letters that tell people what it names, then 20 characters."""
    return prefix + random_letters(20)


def random_letters(count: int) -> str:
    """`count` characters of 5 random bits each."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
