"""What `make check` looks at beyond the linters: links between documents, and the length of files and functions."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LIMIT = 450
FUNCTION_LIMIT = 60
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")


def tracked(*patterns: str) -> list[Path]:
    """Files in git, and new ones that it would take."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns)
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def dead_links() -> Iterator[str]:
    for document in tracked("*.md"):
        for target in LINK.findall(document.read_text()):
            path = target.split("#", 1)[0]
            outside = re.match(r"[a-z]+:", target) or not path
            if not outside and not (document.parent / path).exists():
                yield f"{document.relative_to(ROOT)}: nothing at {target}"


def long_code() -> Iterator[str]:
    for file in tracked("*.py"):
        if "migrations" in file.parts:
            continue
        text = file.read_text()
        name = file.relative_to(ROOT)
        if text.count("\n") > FILE_LIMIT:
            yield f"{name}: {text.count(chr(10))} lines, at most {FILE_LIMIT}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LIMIT:
                    yield f"{name}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LIMIT}"


def main() -> int:
    found = [*dead_links(), *long_code()]
    print("\n".join(found) or "links and lengths: fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
