"use strict";
// Text reaches the page through textContent and value only, never as HTML.
const $ = (id) => document.getElementById(id);
const state = { notes: [], current: null, dirty: false, saving: Promise.resolve(), timer: 0 };

async function call(method, path, body) {
  const options = { method, headers: { "Content-Type": "application/json" } };
  if (body !== undefined) options.body = JSON.stringify(body);
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

const titleOf = (note) => note.text.trim().split("\n")[0].slice(0, 120) || "New note";
const restOf = (note) => note.text.trim().split("\n").slice(1).join(" ").trim().slice(0, 120);

function when(seconds) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return today
    ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}

function listed() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  return state.notes.filter((note) => words.every((word) => note.text.toLowerCase().includes(word)));
}

function show() {
  const found = listed();
  $("list").replaceChildren(...found.map(item));
  $("empty").hidden = found.length > 0;
  $("empty").textContent = state.notes.length ? "No note has these words." : "Nothing here yet. Your first note is one click away.";
}

function item(note) {
  const li = document.createElement("li");
  const button = li.appendChild(document.createElement("button"));
  button.type = "button";
  button.setAttribute("aria-current", String(note === state.current));
  button.appendChild(document.createElement("strong")).textContent = titleOf(note);
  button.appendChild(document.createElement("span")).textContent = [when(note.changed_at), restOf(note)].filter(Boolean).join(" · ");
  button.addEventListener("click", () => open(note));
  return li;
}

function open(note) {
  if (state.dirty) save();
  state.current = note;
  document.body.classList.toggle("writing", note !== null);
  $("text").value = note ? note.text : "";
  $("delete").hidden = !note;
  $("state").textContent = note && note.id ? `Changed ${when(note.changed_at)}` : "";
  show();
  if (note) $("text").focus();
}

function create() {
  open({ id: null, text: "", changed_at: Date.now() / 1000 });
}

function typed() {
  if (!state.current) create();
  const note = state.current;
  note.text = $("text").value;
  note.changed_at = Date.now() / 1000;
  if (!state.notes.includes(note)) state.notes.unshift(note);
  state.notes.sort((a, b) => b.changed_at - a.changed_at);
  state.dirty = true;
  $("state").textContent = "…";
  clearTimeout(state.timer);
  state.timer = setTimeout(save, 500);
  show();
}

function save() {
  clearTimeout(state.timer);
  const note = state.current;
  if (!state.dirty || !note) return;
  state.dirty = false;
  // One after the other, so that an older text never lands on a newer one.
  state.saving = state.saving.then(() => store(note)).catch(() => {
    $("state").textContent = "Not saved. Trying again…";
    if (state.current === note) state.dirty = true;
    state.timer = setTimeout(save, 3000);
  });
}

async function store(note) {
  if (note.removed) return;
  const saved = note.id
    ? await call("PUT", `/api/notes/${note.id}`, { text: note.text })
    : await call("POST", "/api/notes", { text: note.text });
  note.id = saved.id;
  if (state.current === note && !state.dirty) $("state").textContent = "Saved";
}

async function remove() {
  const note = state.current;
  if (!note) return;
  state.dirty = false;
  await state.saving;
  state.notes = state.notes.filter((other) => other !== note);
  open(null);
  if (!note.id) return;
  await call("DELETE", `/api/notes/${note.id}`);
  toast("Note deleted", async () => {
    state.notes.unshift(await call("POST", `/api/notes/${note.id}/restore`));
    show();
  });
}

function toast(text, undo) {
  const box = $("toast");
  box.querySelector("span").textContent = text;
  box.querySelector("button").onclick = () => { box.hidden = true; undo(); };
  box.hidden = false;
  clearTimeout(box.timer);
  box.timer = setTimeout(() => { box.hidden = true; }, 8000);
}

$("new").addEventListener("click", create);
$("back").addEventListener("click", () => open(null));
$("delete").addEventListener("click", remove);
$("text").addEventListener("input", typed);
$("search").addEventListener("input", show);
addEventListener("pagehide", () => {
  if (state.dirty && state.current) {
    const { id, text } = state.current;
    const options = { method: id ? "PUT" : "POST", keepalive: true, headers: { "Content-Type": "application/json" } };
    fetch(id ? `/api/notes/${id}` : "/api/notes", { ...options, body: JSON.stringify({ text }) });
  }
});

(async () => {
  open(null);
  const [{ notes }, me] = await Promise.all([call("GET", "/api/notes"), call("GET", "/api/me")]);
  state.notes = notes;
  $("me").textContent = me.email ? `Signed in as ${me.email}` : "";
  show();
})();
