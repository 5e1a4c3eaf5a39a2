// The links: one JSON file, replaced whole at every change so that it is never half-written.
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

export class Store {
  #file;
  #links = [];

  constructor(folder) {
    mkdirSync(folder, { recursive: true });
    this.#file = join(folder, "links.json");
    if (existsSync(this.#file)) this.#links = JSON.parse(readFileSync(this.#file, "utf8"));
  }

  find(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.#links.filter((link) => {
      const text = `${link.title} ${link.note} ${link.url}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    return found.sort((a, b) => Number(a.read) - Number(b.read) || b.added - a.added);
  }

  shared() {
    return this.#links.filter((link) => link.shared).sort((a, b) => b.added - a.added);
  }

  has(id) {
    return this.#links.some((link) => link.id === id);
  }

  add(link) {
    this.#write([...this.#links, { id: randomBytes(8).toString("hex"), ...link, added: Date.now(), read: false, shared: false }]);
  }

  toggle(id, key) {
    this.#write(this.#links.map((link) => (link.id === id ? { ...link, [key]: !link[key] } : link)));
  }

  remove(id) {
    this.#write(this.#links.filter((link) => link.id !== id));
  }

  #write(links) {
    const draft = openSync(`${this.#file}.new`, "w");
    try {
      writeSync(draft, JSON.stringify(links));
      fsyncSync(draft);
    } finally {
      closeSync(draft);
    }
    renameSync(`${this.#file}.new`, this.#file);
    this.#links = links;
  }
}
