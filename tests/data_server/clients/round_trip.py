"""Our `deta` module, as an app uses it. Any difference ends this with an error."""

import asyncio
import datetime
import io
import os
import pathlib
import sys
import time
import urllib.error
from typing import Any

import deta  # type: ignore[import-not-found]
import deta.base  # type: ignore[import-not-found]


def raises(kind: type[BaseException], action: Any, *arguments: Any, **named: Any) -> BaseException:
    try:
        action(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def base() -> None:
    found = deta.Base("python things")
    named = {"key": "a/b ü%", "n": 1, "list": [1], "map": {"x": {"y": None}}}
    assert found.put(dict(named)) == named == found.get("a/b ü%")
    assert found.put("text", "wrapped") == {"value": "text", "key": "wrapped"}
    assert len(found.put({"n": 5})["key"]) == 12
    assert found.get("none") is None
    error = raises(urllib.error.HTTPError, found.insert, {"n": 1}, "wrapped")
    assert isinstance(error, urllib.error.HTTPError) and (error.code, error.reason) == (409, "Key already exists")
    assert found.insert({"p": pathlib.Path("/tmp/x")}, "new")["p"] == "/tmp/x"
    assert len(found.put_many([{"key": "m1", "n": 10}, {"key": "m2", "n": 11}, 3])["processed"]["items"]) == 3
    raises(AssertionError, found.put_many, [{}] * 26)
    found.update(
        {
            "map.x.z": "set",
            "n": found.util.increment(2),
            "list": found.util.append([2, [3]]),
            "map.x.y": found.util.trim(),
        },
        "a/b ü%",
    )
    found.update({"list": found.util.prepend(0), "n": found.util.increment()}, "a/b ü%")
    assert found.get("a/b ü%") == {**named, "n": 4, "list": [0, 1, 2, [3]], "map": {"x": {"z": "set"}}}
    raises(ValueError, found.update, {}, "wrapped")
    assert "not found" in str(raises(Exception, found.update, {"n": 1}, "none"))
    assert raises(urllib.error.HTTPError, found.fetch, {"n?foo": 1}).code == 400  # type: ignore[attr-defined]
    page = found.fetch([{"n?gte": 10, "key?pfx": "m"}], limit=1)
    assert page == deta.base.FetchResponse(1, "m1", [{"key": "m1", "n": 10}])
    assert [item["key"] for item in found.fetch({"n?gte": 10}, desc=True)] == ["m2", "m1"]
    assert len(found.fetch()) == found.fetch().count == 7
    for dots in (".", "..", "../x"):
        found.put({"n": 1}, dots)
        assert found.get(dots)["key"] == dots
        found.delete(dots)
    found.delete("new")
    assert found.get("new") is None
    expiry(found)


def expiry(found: Any) -> None:
    soon = datetime.datetime.now() + datetime.timedelta(hours=1)  # noqa: DTZ005 - naive, as apps have it
    assert found.put({}, "in", expire_in=3600)["__expires"] - int(time.time()) in (3599, 3600)
    assert found.put({}, "at", expire_at=soon)["__expires"] == int(soon.timestamp())
    found.put({}, "past", expire_at=1)
    assert found.get("past") is None
    found.update(None, "in", expire_at=1)
    assert found.get("in") is None
    raises(ValueError, found.put, {}, expire_in=1, expire_at=1)
    raises(TypeError, found.put, {}, expire_at="soon")


def drive(scratch: pathlib.Path) -> None:
    found = deta.Deta(os.environ["DETA_PROJECT_KEY"]).Drive("python files")
    content = os.urandom(11 * 1024 * 1024)
    (scratch / "big").write_bytes(content)
    assert found.put("folder/ü +&.bin", path=str(scratch / "big"), content_type="image/x-test") == "folder/ü +&.bin"
    body = found.get("folder/ü +&.bin")
    assert b"".join(body.iter_chunks(100_000)) == content
    assert found.put("text", "Grüße 日本\nzwei\r\n") == "text"
    body = found.get("text")
    assert list(body.iter_lines()) == ["Grüße 日本".encode(), b"zwei\r"]
    found.put("stream", io.BytesIO(b"stream"))
    body = found.get("stream")
    assert (body.read(3), body.read(), body.read()) == (b"str", b"eam", b"")
    body.close()
    assert body.closed
    (scratch / "empty").touch()
    found.put("empty", path=str(scratch / "empty"))
    assert found.get("empty").read() == b""
    assert found.get("none") is None
    raises(AssertionError, found.put, "x", b"")
    assert found.list()["names"] == ["empty", "folder/ü +&.bin", "stream", "text"]
    assert found.list(limit=1)["paging"] == {"size": 1, "last": "empty"}
    assert found.list(prefix="folder/ü +&")["names"] == ["folder/ü +&.bin"]
    assert found.list(last="stream")["names"] == ["text"]
    assert found.delete("text") == "text"
    assert found.delete_many(["stream", "never"])["deleted"] == ["stream", "never"]
    assert "invalid name" in str(raises(Exception, found.delete_many, [" "]))
    raises(NotImplementedError, deta.send_email, "a@b", "s", "m")


async def asynchronous() -> None:
    import aiohttp

    found = deta.AsyncBase("async things")
    try:
        assert await found.put({"n": 1}, "a/b ü%") == {"n": 1, "key": "a/b ü%"}
        assert await found.get("a/b ü%") == {"n": 1, "key": "a/b ü%"}
        assert await found.get("none") is None
        await found.update({"n": found.util.increment(4)}, "a/b ü%")
        await found.put_many([{"key": "b", "n": 9}])
        assert [item["n"] for item in (await found.fetch({"n?gt": 2})).items] == [5, 9]
        assert await found.insert({}, "c") == {"key": "c"}
        for action in (found.insert({}, "c"), found.update({"n": 1}, "none")):
            try:
                await action
            except aiohttp.ClientResponseError as error:
                assert error.status in (409, 404)
            else:
                raise AssertionError("an error was expected")
        await found.delete("b")
        assert (await found.fetch(limit=1)).last == "a/b ü%"
    finally:
        await found.close()


if __name__ == "__main__":
    base()
    drive(pathlib.Path(sys.argv[1]))
    asyncio.run(asynchronous())
    print("done")
