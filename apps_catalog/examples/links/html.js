// Pages. `html` escapes every value that is not itself the result of `html`.
class Safe {
  constructor(text) {
    this.text = text;
  }
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (value) => String(value).replace(/[&<>"']/g, (char) => ENTITIES[char]);

function html(strings, ...values) {
  const part = (value) => (value instanceof Safe ? value.text : Array.isArray(value) ? value.map(part).join("") : escaped(value));
  return new Safe(strings.reduce((text, string, index) => text + part(values[index - 1]) + string));
}

const STYLE = new Safe(`
:root { --paper: #f7faf9; --card: #fff; --ink: #14302c; --quiet: #52706b; --line: #d5e3e0; --accent: #0f766e; --on: #fff;
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1716; --card: #14211f; --ink: #e3f1ee; --quiet: #9dbab4;
  --line: #28403c; --accent: #5eead4; --on: #06201d; } }
* { box-sizing: border-box; } body { margin: 0; background: var(--paper); color: var(--ink); }
main { max-width: 44rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: .25rem 1rem; }
h1 { margin: 0; font-size: 1.6rem; letter-spacing: -.02em; } h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
a { color: var(--accent); text-underline-offset: .2em; } .quiet { color: var(--quiet); font-size: .9rem; margin: 0; overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 1rem; margin-top: 1rem; }
form.add { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; } form.add .wide { grid-column: 1 / -1; }
label { font-size: .9rem; font-weight: 600; } input { display: block; width: 100%; margin-top: .25rem; font: inherit; font-weight: 400; color: inherit;
  background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: .5rem .75rem; min-height: 2.75rem; }
button { font: inherit; font-size: .9rem; color: var(--accent); background: none; border: 1px solid var(--line); border-radius: .6rem;
  padding: .35rem .8rem; min-height: 2.5rem; cursor: pointer; } button:hover { border-color: var(--accent); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on); font-weight: 600; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
form.search { display: flex; gap: .5rem; align-items: end; margin-top: 1.5rem; } form.search label { flex: 1; }
ul { list-style: none; margin: 0; padding: 0; } .verbs { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .75rem; }
.read h2 { font-weight: 400; } .read { opacity: .75; } .tag { font-size: .8rem; color: var(--quiet); border: 1px solid var(--line);
  border-radius: 1rem; padding: .1rem .6rem; } p { margin: .4rem 0 0; overflow-wrap: anywhere; }
@media (max-width: 30rem) { form.add { grid-template-columns: 1fr; } }`);

const page = (title, body) =>
  `<!doctype html>${html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${STYLE}</style></head><body><main>${body}</main></body></html>`.text}`;

const host = (url) => new URL(url).hostname.replace(/^www\./, "");
const day = (time) => new Date(time).toISOString().slice(0, 10);

const head = (link) => html`<h2><a href="${link.url}" rel="noopener noreferrer">${link.title}</a></h2>
  <p class="quiet">${host(link.url)} · <time datetime="${day(link.added)}">${day(link.added)}</time></p>${link.note ? html`<p>${link.note}</p>` : ""}`;

const verb = (link, name, label) => html`<form method="post" action="/links/${link.id}/${name}">
  <button aria-label="${label}: ${link.title}">${label}</button></form>`;

const row = (link) => html`<li class="card ${link.read ? "read" : ""}">${head(link)}
  <div class="verbs">${verb(link, "read", link.read ? "Mark as unread" : "Mark as read")}
  ${verb(link, "share", link.shared ? "Stop sharing" : "Share")}${verb(link, "delete", "Delete")}</div></li>`;

const ADD = html`<form class="card add" method="post" action="/links">
  <label class="wide">Address<input name="url" required maxlength="2000" placeholder="example.org/article" autocomplete="off" inputmode="url"></label>
  <label>Title<input name="title" maxlength="200" autocomplete="off"></label>
  <label>Why keep it?<input name="note" maxlength="500" autocomplete="off"></label>
  <div class="wide"><button class="primary">Keep this link</button></div></form>`;

export function listPage(links, query, email) {
  const nothing = query ? "No link has these words." : "Nothing to read yet. Keep your first link above.";
  return page("Links", html`<header><h1>Links</h1><p class="quiet">${email}</p></header>
  <p class="quiet">Private to you. Shared links also appear on <a href="/public/list">your public page</a>.</p>${ADD}
  <form class="search" role="search"><label>Search<input type="search" name="q" value="${query}"></label><button>Search</button></form>
  ${links.length ? html`<ul>${links.map(row)}</ul>` : html`<p class="card">${nothing}</p>`}`);
}

export function publicPage(links) {
  const rows = links.map((link) => html`<li class="card">${head(link)}</li>`);
  return page("Shared links", html`<header><h1>Worth reading</h1></header><p class="quiet">A list shared from Links.</p>
  ${links.length ? html`<ul>${rows}</ul>` : html`<p class="card">Nothing is shared at the moment.</p>`}`);
}

export const messagePage = (text) => page("Links", html`<h1>Links</h1><p class="card">${text} <a href="/">Back to the list</a></p>`);
