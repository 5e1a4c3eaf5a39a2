"""Files of a drive as their owner looks at them and changes them, asked of the data server."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from tenants.errors import Refused
from tenants.models import Collection
from tenants.reconcile import data_admin
from tenants.services.contents import NotThere, Part, changed, contents, opened, part

PAGE_ENTRIES = 100
TEXT_BYTES = 64 * 1024
PART_BYTES = 10 * 1024 * 1024  # the most that a data server takes at once
PART_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Entry:
    """A file; or a folder, whose name ends in a slash and which has nothing else."""

    name: str
    type: str = ""
    size_bytes: int = 0
    stored: datetime | None = None

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def title(self) -> str:
        """The last part of its name."""
        return self.name.rstrip("/").rpartition("/")[2] + ("/" if self.is_folder else "")


@dataclass(frozen=True)
class Folder:
    """last: where the next page begins, None on the last one."""

    drive: Part
    entries: tuple[Entry, ...]
    last: str | None


def look(collection: Collection, drive: str, prefix: str, last: str) -> Folder:
    """One page of what lies below the prefix, folders once. Raises NotThere (no such drive), Away."""
    with opened(collection) as client:
        found = part(contents(client).drives, drive)
        asked = _query(prefix=prefix, last=last, limit=str(PAGE_ENTRIES))
        answer = data_admin.ask(client, "GET", f"{_drive(drive)}/folder?{asked}")
        return Folder(found, tuple(map(_entry, answer["entries"])), answer["last"])


def find(collection: Collection, drive: str, name: str) -> Entry:
    """Raises NotThere, Away."""
    with opened(collection) as client:
        asked = _query(prefix=name, limit="1")
        for found in data_admin.ask(client, "GET", f"{_drive(drive)}/folder?{asked}")["entries"]:
            if found["name"] == name and not name.endswith("/"):
                return _entry(found)
    raise NotThere("no_file", "There is no file of that name.")


def beginning(collection: Collection, drive: str, name: str) -> str:
    """Of a text, what fits a page; what is not UTF-8 is replaced. Raises NotThere, Away."""
    with opened(collection) as client:
        answer = client.get(download(drive, name), headers={"Range": f"bytes=0-{TEXT_BYTES - 1}"})
    if answer.status_code == 416:  # it is empty
        return ""
    if not answer.is_success:
        raise NotThere("no_file", "There is no file of that name.")
    return answer.content.decode(errors="replace").replace("\0", "�")


def rename(collection: Collection, drive: str, old: str, new: str) -> None:
    """Raises Refused (field name), Conflict where the name is taken, NotThere, Away."""
    with changed(collection) as client:
        data_admin.ask(client, "POST", f"{_drive(drive)}/rename", {"from": old, "to": new})


def delete(collection: Collection, drive: str, name: str) -> None:
    """Again: nothing more. Raises Away."""
    with changed(collection) as client:
        data_admin.ask(client, "DELETE", f"{_drive(drive)}/files", {"names": [name]})


def begin(collection: Collection, drive: str, name: str, content_type: str) -> str:
    """An upload, by its id; it ends by itself when nothing comes for long. Raises Refused, NotThere, Away."""
    with changed(collection) as client:
        part(contents(client).drives, drive)  # a mistyped address makes no drive
        headers = {"Content-Type": content_type} if content_type else {}
        answer = client.post(f"{_drive(drive)}/uploads?{_query(name=name)}", headers=headers)
        return str(data_admin.document_of(answer, "beginning an upload")["upload_id"])


def put_part(
    collection: Collection, drive: str, name: str, upload: str, number: int, content: Iterable[bytes], size_bytes: int
) -> None:
    """content passes through as it comes. Sent again, it takes the place of the part. Raises Refused, NotThere, Away."""
    if size_bytes > PART_BYTES:
        raise Refused("part_too_large", "A part may hold 10 MB.")
    with changed(collection, PART_TIMEOUT_S) as client:
        answer = client.post(
            f"{_upload(drive, upload)}/parts?{_query(name=name, part=str(number))}",
            content=content,
            headers={"Content-Length": str(size_bytes)},
        )
        data_admin.document_of(answer, "a part of an upload")


def finish(collection: Collection, drive: str, name: str, upload: str) -> None:
    """The file is there, whole, in place of what was. Raises Refused for a gap, NotThere, Away."""
    with changed(collection, PART_TIMEOUT_S) as client:
        data_admin.ask(client, "PATCH", f"{_upload(drive, upload)}?{_query(name=name)}")


def download(drive: str, name: str) -> str:
    """The path of the content, below the collection."""
    return f"{_drive(drive)}/files/download?{_query(name=name)}"


def _query(**values: str) -> str:
    return urlencode({name: value for name, value in values.items() if value})


def _entry(found: data_admin.Document) -> Entry:
    if found["type"] is None:
        return Entry(found["name"])
    return Entry(found["name"], found["type"], found["bytes"], datetime.fromtimestamp(found["stored"], UTC))


def _drive(name: str) -> str:
    return f"drives/{data_admin.quoted(name)}"


def _upload(drive: str, upload: str) -> str:
    return f"{_drive(drive)}/uploads/{data_admin.quoted(upload)}"
