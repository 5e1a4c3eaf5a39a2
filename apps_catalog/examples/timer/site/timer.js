"use strict";
// The end of a phase is a moment on the clock, never a count of ticks: a sleeping tab or laptop changes nothing.
const $ = (id) => document.getElementById(id);
const NAMES = { focus: "Focus", short: "Short break", long: "Long break" };
const DEFAULTS = { focus: 25, short: 5, long: 15, sound: true, auto: false };
const ROUNDS = 4;

const read = (key, fallback) => {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
};
const write = (key, value) => {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch { /* private mode: the timer still works */ }
};

const settings = { ...DEFAULTS, ...read("settings", {}) };
const run = { phase: "focus", rounds: 0, endsAt: null, leftMs: settings.focus * 60000, ...read("run", {}) };
let audio = null;

const lengthMs = () => settings[run.phase] * 60000;
const leftMs = () => (run.endsAt ? Math.max(0, run.endsAt - Date.now()) : run.leftMs);
const today = () => new Date().toDateString();
const history = () => read("done", []).filter((entry) => new Date(entry.at).toDateString() === today());

function clock(ms) {
  const seconds = Math.ceil(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

function show() {
  const left = leftMs();
  $("left").textContent = clock(left);
  $("ring").style.strokeDashoffset = String(1 - Math.min(1, left / lengthMs()));
  $("round").textContent = run.phase === "focus" ? `Round ${(run.rounds % ROUNDS) + 1} of ${ROUNDS}` : "Breathe";
  $("go").textContent = run.endsAt ? "Pause" : left < lengthMs() ? "Go on" : "Start";
  document.title = run.endsAt ? `${clock(left)} · ${NAMES[run.phase]}` : "Timer";
  document.documentElement.dataset.phase = run.phase;
  for (const button of document.querySelectorAll("[data-phase]:not(html)")) {
    button.setAttribute("aria-pressed", String(button.dataset.phase === run.phase));
  }
}

function showDone() {
  const done = history();
  const minutes = done.reduce((sum, entry) => sum + entry.minutes, 0);
  $("summary").textContent = done.length
    ? `${done.length} ${done.length === 1 ? "round" : "rounds"}, ${minutes} minutes of focus.`
    : "Your finished rounds will be listed here.";
  $("done").replaceChildren(...done.reverse().map((entry) => {
    const li = document.createElement("li");
    li.appendChild(document.createElement("span")).textContent = entry.task || "Focus";
    const at = new Date(entry.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const note = li.appendChild(document.createElement("span"));
    note.className = "quiet";
    note.textContent = `${entry.minutes} min · ${at}`;
    return li;
  }));
}

function keep() {
  write("run", run);
  show();
}

function enter(phase, start) {
  run.phase = phase;
  run.leftMs = lengthMs();
  run.endsAt = start ? Date.now() + run.leftMs : null;
  keep();
}

function toggle() {
  audio ??= settings.sound && window.AudioContext ? new AudioContext() : null;
  if (run.endsAt) {
    run.leftMs = leftMs();
    run.endsAt = null;
  } else {
    run.endsAt = Date.now() + run.leftMs;
  }
  keep();
}

function next(start) {
  if (run.phase === "focus") {
    run.rounds += 1;
    enter(run.rounds % ROUNDS === 0 ? "long" : "short", start);
  } else {
    enter("focus", start);
  }
}

function finish() {
  const ended = run.phase;
  if (ended === "focus") {
    write("done", [...history(), { task: $("task").value.trim(), minutes: settings.focus, at: run.endsAt }]);
    showDone();
  }
  next(settings.auto);
  $("said").textContent = `${NAMES[ended]} is over. Next: ${NAMES[run.phase]}.`;
  if (settings.sound) chime();
}

function chime() {
  if (!audio) return;
  [523.25, 659.25, 783.99].forEach((frequency, index) => {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    const at = audio.currentTime + index * 0.22;
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0.2, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.9);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 1);
  });
}

function tick() {
  if (run.endsAt && leftMs() === 0) finish();
  if (run.endsAt) show();
}

function setUpSettings() {
  for (const key of ["focus", "short", "long"]) {
    const field = $(key);
    field.value = settings[key];
    field.addEventListener("change", () => {
      const untouched = !run.endsAt && run.leftMs === lengthMs();
      settings[key] = Math.min(Number(field.max), Math.max(1, Math.round(Number(field.value)) || DEFAULTS[key]));
      field.value = settings[key];
      write("settings", settings);
      if (key === run.phase && untouched) run.leftMs = lengthMs();
      keep();
    });
  }
  for (const key of ["sound", "auto"]) {
    $(key).checked = settings[key];
    $(key).addEventListener("change", () => {
      settings[key] = $(key).checked;
      write("settings", settings);
    });
  }
}

$("go").addEventListener("click", toggle);
$("skip").addEventListener("click", () => next(false));
$("reset").addEventListener("click", () => enter(run.phase, false));
$("task").value = read("task", "");
$("task").addEventListener("input", () => write("task", $("task").value));
for (const button of document.querySelectorAll("[data-phase]:not(html)")) {
  button.addEventListener("click", () => enter(button.dataset.phase, false));
}
addEventListener("keydown", (event) => {
  if (event.target.closest("input, button, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
  const verb = { " ": toggle, s: () => next(false), r: () => enter(run.phase, false) }[event.key.toLowerCase()];
  if (!verb) return;
  event.preventDefault();
  verb();
});
document.addEventListener("visibilitychange", tick);
setUpSettings();
showDone();
show();
setInterval(tick, 250);
