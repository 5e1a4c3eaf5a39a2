// Links: a reading list with a public page. Plain pages and forms; everything shown is escaped in html.js.
import { createServer } from "node:http";
import { Store } from "./store.js";
import { listPage, messagePage, publicPage } from "./html.js";

const MAX_BODY = 20_000;
const store = new Store(process.env.LINKS_FOLDER ?? "/data");
const HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
};

class Refused extends Error {}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { ...HEADERS, "Content-Length": Buffer.byteLength(body), ...headers });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

async function formOf(request) {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) {
    body += chunk;
    if (body.length > MAX_BODY) throw new Refused("That is too much text for one link.");
  }
  return new URLSearchParams(body);
}

function linkFrom(form) {
  const given = (form.get("url") ?? "").trim();
  let url;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:/i.test(given) ? given : `https://${given}`);
  } catch {
    throw new Refused("That is not a web address.");
  }
  if (!["http:", "https:"].includes(url.protocol) || !url.hostname) throw new Refused("Only web addresses can be kept.");
  const text = (name, limit) => (form.get(name) ?? "").replace(/\s+/g, " ").trim().slice(0, limit);
  return { url: url.href.slice(0, 2000), title: text("title", 200) || url.hostname, note: text("note", 500) };
}

async function change(request, path) {
  const form = await formOf(request);
  if (path === "/links") return store.add(linkFrom(form));
  const match = /^\/links\/([0-9a-f]{16})\/(read|share|delete)$/.exec(path);
  if (!match || !store.has(match[1])) throw new Refused("There is no such link.");
  const [, id, verb] = match;
  if (verb === "delete") return store.remove(id);
  return store.toggle(id, verb === "read" ? "read" : "shared");
}

async function handle(request, response) {
  const { pathname: path, searchParams } = new URL(request.url, "http://app");
  if (request.method === "POST") {
    await change(request, path);
    return send(response, 303, "", { Location: "/" });
  }
  if (!["GET", "HEAD"].includes(request.method)) return send(response, 405, messagePage("That cannot be done here."), { Allow: "GET, HEAD, POST" });
  if (path === "/") {
    const query = (searchParams.get("q") ?? "").slice(0, 100);
    return send(response, 200, listPage(store.find(query), query, request.headers["x-freehold-email"] ?? ""));
  }
  if (path === "/public/list") return send(response, 200, publicPage(store.shared()));
  return send(response, 404, messagePage("There is nothing at this address."));
}

const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    if (!(error instanceof Refused)) console.error(error);
    if (response.headersSent) return response.destroy();
    const [status, text] = error instanceof Refused ? [400, error.message] : [500, "Something went wrong; nothing was changed."];
    send(response, status, messagePage(text), { Connection: "close" });
  });
});

server.listen(Number(process.env.PORT ?? 8080), "0.0.0.0");
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
