"""The inner listener: collections, keys, quota, exports, imports. For the provider, by its token; not for outside.

| method, path | body → answer |
|---|---|
| GET `/collections` | `{"collections": [{id, name, instances, keys: [{id, name, last_used}]}]}` |
| PUT `/collections/{id}` | `{name, keys: [{id, name, sha256}], instances: [{instance, version}]}`: these alone → 201, 200 |
| GET `/collections/{id}` | the same, and `bytes`, `bases: [{name, items, bytes}]`, `drives: [{name, files, bytes}]` |
| DELETE `/collections/{id}` | with all data |
| POST `/collections/{id}/wipe` | all data, not the collection |
| PUT, DELETE `/collections/{id}/bases/{name}`, `…/drives/{name}` | an empty one → 201, 200; away with all of it |
| `/collections/{id}/bases/{name}/…`, `…/drives/{name}/…` | as apps are answered below `/v1/{id}/{name}/` |
| GET `…/drives/{name}/folder?prefix=&last=&limit=` | `{"entries": [{name, type, bytes, stored}], "last": … or null}` |
| DELETE `…/drives/{name}/folder?prefix=` | all files below it → `{"removed": n}` |
| POST `…/drives/{name}/rename` | `{"from", "to"}` |
| GET, PUT `/quota` | `{"limit_bytes": n or null}` → `{limit_bytes, used_bytes, disk_bytes}`, the last of the whole disk |
| POST `/collections/{id}/exports` | 201 `{id, size_bytes, made}`; it is as of now. DELETE ends all of the collection |
| GET, HEAD `/exports/{id}` | the zip, any range; DELETE ends it |
| POST `/collections/{id}/imports` | a zip → 201, the preview |
| PUT `…/imports/{id}` | `{"size_bytes"}`: it comes in parts → `{id, size_bytes, part_bytes, parts}`; GET: that |
| PUT `…/imports/{id}/parts/{n}?sha256=` | the part |
| POST `…/imports/{id}/stage` | all parts are there → 200, the preview |
| POST `…/imports/{id}/apply` | `{"conflicts": "skip", "replace" or "fail"}` → `{items, files, skipped, replaced}` |
| DELETE `…/imports/{id}` | |
| GET `/healthz` | without a token |
"""

import hmac
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from tenants.data_server import contents, documents, folders, importing, inspection, keys, receiving, wire
from tenants.data_server.collection import Collection
from tenants.data_server.errors import Gone, NotAllowed, NotFound, Refused, Unauthorized
from tenants.data_server.exporting import Export, Exports
from tenants.data_server.registry import Instance, Key, Registry, Wanted
from tenants.data_server.wire import Answer, BodyTooLarge, Disconnected, Receive, Request, Scope, Send

log = logging.getLogger(__name__)
_BODY_BYTES = 1024 * 1024
_ENTRIES = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class AdminApp:
    def __init__(self, registry: Registry, token: str) -> None:
        self.registry = registry
        self.exports = Exports()
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        request = Request.of(scope, receive)
        try:
            answer = await self._answer(request)
        except Disconnected:
            return
        except Refused as error:
            answer = wire.refusal(error)
        except BodyTooLarge:
            answer = wire.refusal(Refused("The body is too large"))
        except Exception:
            log.exception("event=admin_request_failed method=%s", request.method)
            answer = wire.reply(500, {"errors": ["Internal error"]})
        await wire.send_answer(answer, request, send)

    async def _answer(self, request: Request) -> Answer:
        if request.raw_path == b"/healthz":
            return wire.reply(200, {"status": "ok"})
        sent = request.headers.get(b"authorization", b"")
        if not hmac.compare_digest(sent, b"Bearer " + self._token):
            raise Unauthorized
        match [wire.decode(segment) for segment in request.raw_path.split(b"/")[1:]]:
            case ["quota"]:
                return await self._quota(request)
            case ["collections"]:
                _allow(request, "GET")
                names = sorted(self.registry.names().items())
                shown = [_shown(one, wanted, self.registry.last_used(one)) for one, wanted in names]
                return wire.reply(200, {"collections": shown})
            case ["collections", project_id]:
                return await self._collection(request, project_id)
            case ["collections", project_id, "bases" | "drives" as table, name, _, *_]:
                # The rest as it was sent: keys may hold slashes.
                rest = request.raw_path.split(b"/", 5)[5]
                return await self._contents(request, project_id, table, name, rest)
            case ["collections", project_id, *rest]:
                return await self._inside(request, project_id, rest)
            case ["exports", export_id]:
                return self._export(request, export_id)
        raise NotFound("Not found")

    async def _quota(self, request: Request) -> Answer:
        _allow(request, "GET", "PUT")
        if request.method == "PUT":
            limit = (await _object(request)).get("limit_bytes")
            if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
                raise Refused("limit_bytes must be a whole number or null")
            self.registry.set_limit(limit)
        quota, disk_bytes = self.registry.quota, shutil.disk_usage(self.registry.folder).total
        shown = {"limit_bytes": quota.limit_bytes, "used_bytes": quota.used_bytes, "disk_bytes": disk_bytes}
        return wire.reply(200, shown)

    async def _collection(self, request: Request, project_id: str) -> Answer:
        _allow(request, "GET", "PUT", "DELETE")
        if not keys.PROJECT_ID.fullmatch(project_id):
            raise Refused("id must be 6 to 40 lower-case letters and digits")
        if request.method == "PUT":
            wanted = _wanted(await _object(request))
            new = self.registry.ensure(project_id, wanted)
            return wire.reply(201 if new else 200, _shown(project_id, wanted, self.registry.last_used(project_id)))
        if request.method == "DELETE":
            self.exports.end_of(project_id)
            await self.registry.remove(project_id)
            return wire.reply(200, {"id": project_id})
        with self.registry.using(project_id) as collection:
            wanted = self.registry.names()[project_id]
            shown = _shown(project_id, wanted, self.registry.last_used(project_id))
            return wire.reply(200, shown | await inspection.describe(collection))

    async def _contents(self, request: Request, project_id: str, table: str, name: str, rest: bytes) -> Answer:
        if table == "drives" and rest in (b"folder", b"rename"):
            with self.registry.using(project_id) as collection:
                return await (_folder if rest == b"folder" else _rename)(request, collection, contents.check_name(name))
        if contents.is_of_base(rest) != (table == "bases"):
            raise NotFound("Not found")
        return await contents.answer(self.registry, request, project_id, name, rest)

    async def _inside(self, request: Request, project_id: str, rest: list[str]) -> Answer:
        if rest == ["exports"]:
            _allow(request, "POST", "DELETE")
            if request.method == "DELETE":
                self.exports.end_of(project_id)
                return wire.reply(200, {"id": project_id})
            release, collection = self.registry.enter(project_id)
            export = await self.exports.make(collection, project_id, release)
            return wire.reply(201, {"id": export.id, "size_bytes": export.size_bytes, "made": export.made})
        with self.registry.using(project_id) as collection:
            match rest:
                case ["wipe"]:
                    _allow(request, "POST")
                    await inspection.wipe(collection)
                case ["bases" | "drives" as table, name]:
                    _allow(request, "PUT", "DELETE")
                    if request.method == "PUT":
                        new = await inspection.make(collection, table, contents.check_name(name))
                        return wire.reply(201 if new else 200, {"name": name})
                    await inspection.drop(collection, table, name)
                case ["imports", *more]:
                    return await _import(request, collection, more)
                case _:
                    raise NotFound("Not found")
            return wire.reply(200, {"id": project_id})

    def _export(self, request: Request, export_id: str) -> Answer:
        _allow(request, "GET", "HEAD", "DELETE")
        if request.method == "DELETE":
            self.exports.end(export_id)
            return wire.reply(200, {"id": export_id})
        export = self.exports.get(export_id)
        if export is None:
            raise Gone("This export has ended: make a new one")
        return _send_export(request, export)


async def _folder(request: Request, collection: Collection, drive: str) -> Answer:
    _allow(request, "GET", "DELETE")
    asked = request.parameters()
    if request.method == "DELETE":
        return wire.reply(200, {"removed": await folders.remove(collection, drive, asked.get("prefix", ""))})
    limit = asked.get("limit", str(_ENTRIES))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _ENTRIES):
        raise Refused(f"limit must be a whole number from 1 to {_ENTRIES}")
    found = await folders.look(collection, drive, asked.get("prefix", ""), asked.get("last", ""), int(limit))
    return wire.reply(200, found)


async def _rename(request: Request, collection: Collection, drive: str) -> Answer:
    _allow(request, "POST")
    body = await _object(request)
    old, new = body.get("from"), body.get("to")
    if not isinstance(old, str) or not isinstance(new, str):
        raise Refused("from and to must be names of files")
    await folders.rename(collection, drive, old, new)
    return wire.reply(200, {"name": new})


def _send_export(request: Request, export: Export) -> Answer:
    tag = f'"{export.id}"'
    wanted = request.header(b"range") if request.header(b"if-range") in (None, tag) else None
    part = wire.byte_range(wanted, export.size_bytes)
    begin, end = part or (0, export.size_bytes)
    headers = [(b"accept-ranges", b"bytes"), (b"etag", tag.encode())]
    if part is not None:
        headers.append((b"content-range", f"bytes {begin}-{end - 1}/{export.size_bytes}".encode()))
    content = export.content(begin, end)
    return Answer(200 if part is None else 206, content, b"application/zip", headers, end - begin)


async def _import(request: Request, collection: Collection, rest: list[str]) -> Answer:
    match rest:
        case []:
            _allow(request, "POST")
            preview = await importing.stage(collection, request.content(), request.announced_bytes())
            return wire.reply(201, preview)
        case [import_id]:
            return await _archive(request, collection, import_id)
        case [import_id, "parts", number]:
            _allow(request, "PUT")
            sent = int(number) if number.isascii() and number.isdigit() and len(number) <= 7 else 0
            checksum = request.parameters().get("sha256", "")
            await receiving.put_part(collection, import_id, sent, checksum, request.content())
            return wire.reply(200, {"part": sent})
        case [import_id, "stage"]:
            _allow(request, "POST")
            return wire.reply(200, await importing.stage_parts(collection, import_id))
        case [import_id, "apply"]:
            _allow(request, "POST")
            try:
                conflicts = importing.Conflicts(str((await _object(request)).get("conflicts")))
            except ValueError:
                raise Refused("conflicts must be 'skip', 'replace' or 'fail'") from None
            return wire.reply(200, await importing.apply(collection, import_id, conflicts))
    raise NotFound("Not found")


async def _archive(request: Request, collection: Collection, import_id: str) -> Answer:
    _allow(request, "GET", "PUT", "DELETE")
    if request.method == "DELETE":
        importing.discard(collection, import_id)
        return wire.reply(200, {"id": import_id})
    if request.method == "GET":
        return wire.reply(200, receiving.look(collection, import_id))
    size = (await _object(request)).get("size_bytes")
    if not isinstance(size, int) or isinstance(size, bool):
        raise Refused("size_bytes must be a whole number")
    return wire.reply(200, receiving.begin(collection, import_id, size, importing.limit(collection)))


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise NotAllowed(", ".join(methods))


async def _object(request: Request) -> dict[str, Any]:
    return documents.parse_object(await request.body(_BODY_BYTES))


def _wanted(body: dict[str, Any]) -> Wanted:
    name = body.get("name")
    if not isinstance(name, str) or not name or len(name) > 200:
        raise Refused("name must be text of 1 to 200 characters")
    return Wanted(name, tuple(_each(body, "keys", _key)), tuple(_each(body, "instances", _instance)))


def _each(body: dict[str, Any], field: str, make: Callable[[dict[str, Any], str], Any]) -> list[Any]:
    found = body.get(field, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Refused(f"{field} must be a list of objects")
    return [make(one, f"{field}[{index}]") for index, one in enumerate(found)]


def _key(found: dict[str, Any], where: str) -> Key:
    key_id, name, sha256 = found.get("id"), found.get("name"), found.get("sha256")
    if not isinstance(key_id, str) or not _ID.fullmatch(key_id):
        raise Refused(f"{where}.id must be 1 to 64 letters, digits, _ and -")
    if not isinstance(name, str):
        raise Refused(f"{where}.name must be text")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise Refused(f"{where}.sha256 must be 64 hex digits")
    return Key(key_id, name, sha256)


def _instance(found: dict[str, Any], where: str) -> Instance:
    instance, version = found.get("instance"), found.get("version")
    if not isinstance(instance, str) or not _ID.fullmatch(instance):
        raise Refused(f"{where}.instance must be 1 to 64 letters, digits, _ and -")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Refused(f"{where}.version must be a whole number from 1")
    return Instance(instance, version)


def _shown(project_id: str, wanted: Wanted, used: Mapping[str, float]) -> dict[str, Any]:
    return {
        "id": project_id,
        "name": wanted.name,
        "keys": [{"id": key.id, "name": key.name, "last_used": used.get(key.sha256)} for key in wanted.keys],
        "instances": [{"instance": one.instance, "version": one.version} for one in wanted.instances],
    }
