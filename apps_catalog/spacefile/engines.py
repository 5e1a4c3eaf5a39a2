"""The names that `engine` may have, and what each stands for."""

from enum import StrEnum


class Family(StrEnum):
    STATIC = "static"  # files as they are
    FRONTEND = "frontend"  # files that a Node build makes: react, vue, svelte
    FULLSTACK = "fullstack"  # a framework with a server of its own: next, nuxt, svelte-kit
    PYTHON = "python"
    NODE = "node"
    CUSTOM = "custom"


_NAMED = {
    "static": Family.STATIC,
    **dict.fromkeys(("react", "vue", "svelte"), Family.FRONTEND),
    **dict.fromkeys(("next", "nuxt", "svelte-kit"), Family.FULLSTACK),
    "custom": Family.CUSTOM,
}
_PYTHON = tuple(f"python3.{minor}" for minor in range(8, 16))
_NODE = tuple(f"nodejs{major}" for major in (14, 16, 18, 20, 22, 24, 26))

# Known to the former platform's own tables though not to its schema.
ALIASES = {f"{name}.x": name for name in _NODE}
FAMILIES = {**_NAMED, **dict.fromkeys(_PYTHON, Family.PYTHON), **dict.fromkeys(_NODE, Family.NODE)}
FORMER = frozenset((*_NAMED, "python3.8", "python3.9", "nodejs14", "nodejs16"))
SERVES_FILES = frozenset(name for name, family in FAMILIES.items() if family in (Family.STATIC, Family.FRONTEND))
