// npm `deta` as it is, against DETA_BASE_HOST and DETA_DRIVE_HOST. Any difference ends this with an error.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Deta } from "deta";

const deta = Deta();
const base = deta.Base("node things");
const named = { key: "a/b ü%", n: 1, list: [1], map: { x: { y: null } } };

assert.deepEqual(await base.put({ ...named }), named);
assert.deepEqual(await base.get("a/b ü%"), named);
assert.equal((await base.put("text", "wrapped")).value, "text");
assert.equal((await base.put({ n: 5 })).key.length, 12);
assert.equal(await base.get("none"), null);
await assert.rejects(base.insert({ n: 1 }, "wrapped"), /Item with key wrapped already exists/);
assert.deepEqual(await base.insert({ n: 7 }, "new"), { n: 7, key: "new" });
assert.equal((await base.putMany([{ key: "m1", n: 10 }, { key: "m2", n: 11 }, 3])).processed.items.length, 3);

await base.update(
  { "map.x.z": "set", n: base.util.increment(2), list: base.util.append([2, [3]]), "map.x.y": base.util.trim() },
  "a/b ü%",
);
assert.deepEqual(await base.get("a/b ü%"), { ...named, n: 3, list: [1, 2, [3]], map: { x: { z: "set" } } });
await assert.rejects(base.update({ n: 1 }, "none"), /Key not found/);
await assert.rejects(base.fetch({ "n?foo": 1 }), /Bad query/);

const found = await base.fetch([{ "n?gte": 10, "key?pfx": "m" }], { limit: 1 });
assert.deepEqual([found.count, found.last, found.items], [1, "m1", [{ key: "m1", n: 10 }]]);
const rest = await base.fetch([{ "n?gte": 10, "key?pfx": "m" }], { limit: 1, last: found.last });
assert.deepEqual([rest.count, rest.last], [1, undefined]);
assert.deepEqual((await base.fetch({ "n?gte": 10 }, { desc: true })).items.map((item) => item.key), ["m2", "m1"]);

await base.put({ n: 1 }, "expired", { expireIn: -1 });
assert.equal(await base.get("expired"), null);
assert.equal(await base.delete("new"), null);
assert.equal(await base.get("new"), null);

const drive = deta.Drive("node files");
const bytes = randomBytes(11 * 1024 * 1024);
assert.equal(await drive.put("folder/ü +&.bin", { data: bytes, contentType: "image/x-test" }), "folder/ü +&.bin");
const blob = await drive.get("folder/ü +&.bin");
assert.equal(blob.type, "image/x-test");
assert.ok(bytes.equals(Buffer.from(await blob.arrayBuffer())));
assert.equal(await drive.put("hello.txt", { data: "Hello" }), "hello.txt");
assert.equal(await (await drive.get("hello.txt")).text(), "Hello");
await drive.put("empty", { data: new Uint8Array(0) });
assert.equal((await drive.get("empty")).size, 0);
assert.equal(await drive.get("none"), null);
assert.deepEqual((await drive.list()).names, ["empty", "folder/ü +&.bin", "hello.txt"]);
assert.deepEqual((await drive.list({ recursive: false, limit: 2 })).names, ["empty", "folder/"]);
assert.deepEqual((await drive.list({ prefix: "hel" })).names, ["hello.txt"]);
assert.equal(await drive.delete("hello.txt"), "hello.txt");
assert.deepEqual((await drive.deleteMany(["empty", "never"])).deleted, ["empty", "never"]);
await assert.rejects(drive.deleteMany([" "]), /Names can't be empty/);
console.log("done");
