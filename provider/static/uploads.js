// Uploads in parts, so that nobody on the way holds a whole file: files into a folder of a drive, chosen or dropped, and the
// archive of an import, which goes on where it broke off.
(function () {
  "use strict";
  const drive = document.querySelector("[data-upload]"), archive = document.querySelector("form[data-archive]");
  if (!drive && !archive) return;
  const PART_BYTES = 8 * 1024 * 1024, TRIES = 3;
  const token = (drive || archive).querySelector("[name=csrfmiddlewaretoken]").value;

  function post(path, parameters, body, told) {
    return new Promise(function (resolve, reject) {
      const request = new XMLHttpRequest();
      request.open("POST", path + "?" + new URLSearchParams(parameters));
      request.setRequestHeader("X-CSRFToken", token);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      if (told) request.upload.onprogress = function (event) { told(event.loaded); };
      request.onload = function () {
        let answer = {};
        try { answer = JSON.parse(request.responseText); } catch (error) { /* a page of the console's */ }
        if (request.status < 300) { resolve(answer); return; }
        const problem = new Error(answer.message || "The upload was refused (" + request.status + ").");
        problem.final = request.status < 500;
        reject(problem);
      };
      request.onerror = function () { reject(new Error("The connection broke off.")); };
      request.send(body || "");
    });
  }

  // A part sent again takes the place of itself.
  async function stubborn(path, parameters, body, told) {
    for (let attempt = 1; ; attempt += 1) {
      try { return await post(path, parameters, body, told); } catch (problem) {
        if (problem.final || attempt === TRIES) throw problem;
        await new Promise(function (resolve) { setTimeout(resolve, 1000 * attempt); });
      }
    }
  }

  function shown(place, file) {
    const item = document.createElement("li"), label = document.createElement("span"), bar = document.createElement("progress");
    label.textContent = file.name;
    bar.max = Math.max(file.size, 1);
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    item.append(label, bar);
    place.querySelector(".uploads").append(item);
    return { tell: function (bytes) { bar.value = bytes; }, fail: function (why) {
      item.className = "bad-text";
      label.textContent = file.name + ": " + why;
      bar.remove();
    }, done: function () { bar.value = bar.max; } };
  }

  function intoDrive() {
    const input = drive.querySelector("input[type=file]");
    let line = Promise.resolve(), waiting = 0, failed = false;

    async function send(file, name, tell) {
      const begun = await stubborn(drive.dataset.upload, { name: name, type: file.type });
      const path = drive.dataset.upload + encodeURIComponent(begun.upload) + "/";
      for (let at = 0, part = 1; at < file.size; at += PART_BYTES, part += 1) {
        await stubborn(path, { name: name, part: part }, file.slice(at, at + PART_BYTES), function (sent) { tell(at + sent); });
      }
      await stubborn(path, { name: name });
    }

    function take(files) {
      Array.from(files).forEach(function (file) {
        const row = shown(drive, file);
        waiting += 1;
        line = line.then(function () { return send(file, drive.dataset.prefix + file.name, row.tell); })
          .then(row.done, function (problem) { failed = true; row.fail(problem.message); })
          .then(function () {
            waiting -= 1;
            if (waiting === 0 && !failed) window.location.reload();
          });
      });
    }

    input.disabled = false;
    drive.querySelector("[data-hint]").textContent = "Or drop them here. A file of the same name is replaced.";
    input.addEventListener("change", function () { take(input.files); input.value = ""; });
    ["dragenter", "dragover"].forEach(function (name) {
      drive.addEventListener(name, function (event) { event.preventDefault(); drive.classList.add("over"); });
    });
    drive.addEventListener("dragleave", function () { drive.classList.remove("over"); });
    drive.addEventListener("drop", function (event) {
      event.preventDefault();
      drive.classList.remove("over");
      take(event.dataTransfer.files);
    });
    window.addEventListener("beforeunload", function (event) { if (waiting) event.preventDefault(); });
  }

  async function checksum(part) {
    if (!window.crypto || !window.crypto.subtle) return "";
    const digest = await window.crypto.subtle.digest("SHA-256", await part.arrayBuffer());
    return Array.from(new Uint8Array(digest), function (byte) { return byte.toString(16).padStart(2, "0"); }).join("");
  }

  function asArchive() {
    const input = archive.querySelector("input[type=file]"), button = archive.querySelector("button");
    let going = false;

    // The same file chosen again goes on with what is there already.
    async function send(file, tell) {
      const mark = (file.lastModified + " " + file.name).replace(/[^ -~]/g, "_").slice(0, 200);
      const begun = await stubborn(archive.dataset.archive, { size: file.size, fingerprint: mark });
      const path = archive.dataset.archive + encodeURIComponent(begun.upload) + "/", there = new Set(begun.parts);
      for (let at = 0, number = 1; at < file.size; at += begun.part_bytes, number += 1) {
        const part = file.slice(at, at + begun.part_bytes);
        if (there.has(number)) { tell(at + part.size); continue; }
        const known = { part: number, sha256: await checksum(part) };
        await stubborn(path, known, part, function (sent) { tell(at + sent); });
      }
      return (await stubborn(path, {})).next;
    }

    archive.removeAttribute("data-once");
    archive.querySelector("[data-hint]").textContent = "Of any size. If it breaks off, choose the same file again: it goes on.";
    archive.addEventListener("submit", function (event) {
      event.preventDefault();
      if (going || !input.files.length) return;
      const row = shown(archive, input.files[0]);
      going = true;
      button.setAttribute("aria-disabled", "true");
      send(input.files[0], row.tell).then(function (next) {
        going = false;
        row.done();
        window.location.assign(next);
      }, function (problem) {
        going = false;
        button.removeAttribute("aria-disabled");
        row.fail(problem.message);
      });
    });
    window.addEventListener("beforeunload", function (event) { if (going) event.preventDefault(); });
  }

  if (drive) intoDrive();
  if (archive) asArchive();
})();
