// What pages need beyond htmx: ticking times, menus that close, copying, logs that scroll, streams that rest.
// Everything works without it; this only makes it smoother.
(function () {
  "use strict";

  function spell(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
    return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
  }

  function tick() {
    document.querySelectorAll("time[data-since]").forEach(function (element) {
      element.textContent = spell((Date.now() - Date.parse(element.dataset.since)) / 1000);
    });
  }
  setInterval(tick, 1000);

  // Moments are written in UTC; what one's own clock shows then is said beside them.
  function localise() {
    document.querySelectorAll("time[data-local]").forEach(function (element) {
      const moment = new Date(element.getAttribute("datetime"));
      if (moment.getTimezoneOffset() !== 0) {
        element.title = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) + " where you are";
      }
    });
  }
  localise();
  document.addEventListener("htmx:sseMessage", localise);
  document.addEventListener("htmx:sseMessage", tick);

  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
    const copy = event.target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(copy.dataset.copy).then(function () { copy.textContent = "Copied"; });
    }
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  // A second click while the first is on its way would only show an error page; the server makes one thing either way.
  document.addEventListener("submit", function (event) {
    const form = event.target;
    if (!form.matches("form[data-once]")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    form.querySelectorAll("button[type=submit]").forEach(function (b) { b.setAttribute("aria-disabled", "true"); });
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) {
      delete form.dataset.sent;
      form.querySelectorAll("button").forEach(function (b) { b.removeAttribute("aria-disabled"); });
    });
  });

  // Logs stay at their end unless the reader scrolled up, and forget their oldest lines.
  document.addEventListener("htmx:sseBeforeMessage", function (event) {
    const log = event.target.closest(".log");
    if (log) log.dataset.end = log.scrollHeight - log.scrollTop - log.clientHeight < 40 ? "yes" : "";
  });
  document.addEventListener("htmx:sseMessage", function (event) {
    const log = event.target.closest(".log");
    if (!log) return;
    while (log.childElementCount > 2000) log.firstElementChild.remove();
    if (log.dataset.end) log.scrollTop = log.scrollHeight;
  });

  // Over http/1.1 a browser keeps six connections to a site: pages nobody looks at give theirs back.
  const open = new Map();
  const finished = new WeakSet();
  document.addEventListener("htmx:sseOpen", function (event) {
    // A log that connects again is sent from its beginning.
    if (event.target.matches(".log")) event.target.replaceChildren();
    open.set(event.target, event.detail.source);
  });
  document.addEventListener("htmx:sseClose", function (event) {
    open.delete(event.target);
    finished.add(event.target);
  });
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) {
      open.forEach(function (source) { source.close(); });
      return;
    }
    open.forEach(function (source, element) {
      if (!element.isConnected || finished.has(element)) { open.delete(element); return; }
      element.setAttribute("data-seen", String(Date.now()));
      window.htmx.process(element);
    });
  });
  window.addEventListener("pagehide", function () {
    open.forEach(function (source) { source.close(); });
  });
})();
