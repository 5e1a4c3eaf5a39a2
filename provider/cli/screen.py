"""What a command shows: lines for people as it goes, or one JSON document at its end and nothing else."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from provider.cli.failures import Failure


class Screen:
    """On a terminal with colours and a spinner; into a pipe or file plain lines without either."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, soft_wrap=True, quiet=as_json)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        return self._out.is_terminal and not self.as_json

    def say(self, text: str, style: str = "") -> None:
        """One line; `text` is shown as it is, whatever brackets or control characters a stranger put into it."""
        self._out.print(Text(_printable(text), style=style))

    def note(self, text: str) -> None:
        """Beside what a command is for; never in its output."""
        self._err.print(Text(_printable(text), style="yellow"))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if not self.is_terminal:
            for row in rows:
                self.say("\t".join(row))
            return
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(_printable(cell)) for cell in row))
        self._out.print(table, soft_wrap=False)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner beside `text` on a terminal, nothing elsewhere."""
        if not self.is_terminal:
            yield
            return
        with self._out.status(Text(_printable(text))):
            yield

    @contextmanager
    def sending(self, file: BinaryIO, size_bytes: int, text: str) -> Iterator[BinaryIO]:
        """`file` with a bar on a terminal that grows as it is read; read again, it begins again."""
        if not self.is_terminal:
            yield file
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, console=self._out, transient=True) as progress:
            yield progress.wrap_file(file, total=size_bytes, description=escape(_printable(text)))

    @contextmanager
    def moving(self, size_bytes: int, done_bytes: int, text: str) -> Iterator[Callable[[int], object]]:
        """A bar on a terminal; call what it gives with the number of bytes that moved."""
        if not self.is_terminal:
            yield lambda _: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, console=self._out, transient=True) as progress:
            task = progress.add_task(escape(_printable(text)), total=size_bytes, completed=done_bytes)
            yield partial(progress.advance, task)

    def document(self, data: Any) -> None:
        """The command's result for programs; shown in JSON mode only, exactly once."""
        if self.as_json:
            print(json.dumps(data, indent=2, ensure_ascii=False))  # noqa: T201 - the one place that writes documents

    def failure(self, failure: Failure) -> None:
        self.document(failure.document())
        where = f" ({failure.field})" if failure.field else ""
        self._err.print(Text(f"Error{where}: {_printable(str(failure))}", style="red"))


def _printable(text: str) -> str:
    """Without the control characters by which a stranger's log line could repaint the terminal."""
    return "".join(char for char in text if char.isprintable() or char in "\n\t")
