// Uploads into a folder of a drive, chosen or dropped: in parts, so that nobody on the way holds a whole file.
(function () {
  "use strict";
  const place = document.querySelector("[data-upload]");
  if (!place) return;
  const PART_BYTES = 8 * 1024 * 1024, TRIES = 3;
  const input = place.querySelector("input[type=file]"), list = place.querySelector(".uploads");
  const token = place.querySelector("[name=csrfmiddlewaretoken]").value;
  let line = Promise.resolve(), waiting = 0, failed = false;

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

  async function send(file, name, tell) {
    const begun = await stubborn(place.dataset.upload, { name: name, type: file.type });
    const path = place.dataset.upload + encodeURIComponent(begun.upload) + "/";
    for (let at = 0, part = 1; at < file.size; at += PART_BYTES, part += 1) {
      await stubborn(path, { name: name, part: part }, file.slice(at, at + PART_BYTES), function (sent) { tell(at + sent); });
    }
    await stubborn(path, { name: name });
  }

  function shown(file) {
    const item = document.createElement("li"), label = document.createElement("span"), bar = document.createElement("progress");
    label.textContent = file.name;
    bar.max = Math.max(file.size, 1);
    bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    item.append(label, bar);
    list.append(item);
    return { tell: function (bytes) { bar.value = bytes; }, fail: function (why) {
      item.className = "bad-text";
      label.textContent = file.name + ": " + why;
      bar.remove();
    }, done: function () { bar.value = bar.max; } };
  }

  function take(files) {
    Array.from(files).forEach(function (file) {
      const row = shown(file);
      waiting += 1;
      line = line.then(function () { return send(file, place.dataset.prefix + file.name, row.tell); })
        .then(row.done, function (problem) { failed = true; row.fail(problem.message); })
        .then(function () {
          waiting -= 1;
          if (waiting === 0 && !failed) window.location.reload();
        });
    });
  }

  input.disabled = false;
  place.querySelector("[data-hint]").textContent = "Or drop them here. A file of the same name is replaced.";
  input.addEventListener("change", function () { take(input.files); input.value = ""; });
  ["dragenter", "dragover"].forEach(function (name) {
    place.addEventListener(name, function (event) { event.preventDefault(); place.classList.add("over"); });
  });
  place.addEventListener("dragleave", function () { place.classList.remove("over"); });
  place.addEventListener("drop", function (event) {
    event.preventDefault();
    place.classList.remove("over");
    take(event.dataTransfer.files);
  });
  window.addEventListener("beforeunload", function (event) { if (waiting) event.preventDefault(); });
})();
