"""Amounts of bytes in words, for pages and mails."""


def in_words(size_bytes: float) -> str:
    """“96.5 GB”; a GB is 10⁹ bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} TB"
