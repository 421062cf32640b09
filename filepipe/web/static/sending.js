"use strict";

const find = (id) => document.getElementById(id);

// 32 letters and digits that nobody mistakes for each other: 5 bits each.
const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

/** A name of 50 bits that nobody guesses and everybody can read out. */
function mintKey() {
  const letters = Array.from(crypto.getRandomValues(new Uint8Array(10)), (n) => ALPHABET[n % 32]);
  return letters.slice(0, 5).join("") + "-" + letters.slice(5).join("");
}

const percent = (letter) => "%" + letter.charCodeAt(0).toString(16).toUpperCase();

/** Text as a part of a URL in which no shell finds anything of its own. */
function encode(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, percent);
}

/** The URL of a key below `root`; each of its segments is encoded once. */
function urlOf(root, key) {
  return root + key.replace(/^\//, "").split("/").map(encode).join("/");
}

/** "12.3 MiB"; units of 1024 bytes. */
function formatBytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let power = 0;
  while (count >= 1000 && power < units.length - 1) {
    count /= 1024;
    power += 1;
  }
  return (power === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)) + " " + units[power];
}

/** The header that names a file, whatever its script (RFC 8187). */
function disposition(name) {
  return "attachment; filename*=UTF-8''" + encode(name);
}

/** A form with the choice of file or text; `body` is what it holds now, null if nothing. */
function watchChoice(form) {
  const isText = () => form.elements.what.value === "text";
  const show = () => {
    find("file-field").hidden = isText();
    find("text-field").hidden = !isText();
  };
  for (const choice of form.elements.what) {
    choice.addEventListener("change", show);
  }
  show();
  return {
    body() {
      if (isText()) {
        const text = find("text").value;
        return text ? new Blob([text], { type: "text/plain;charset=utf-8" }) : null;
      }
      return find("file").files[0] || null;
    },
  };
}

/** Shows how much of an upload has left this browser, and at what pace. */
function watchProgress(request) {
  const started = performance.now();
  find("bar").removeAttribute("value");
  find("progress-text").textContent = "";
  find("progress").hidden = false;
  request.upload.addEventListener("progress", (event) => {
    const seconds = Math.max(0.001, (performance.now() - started) / 1000);
    const pace = formatBytes(event.loaded / seconds) + "/s";
    const whole = event.lengthComputable ? " of " + formatBytes(event.total) : "";
    find("progress-text").textContent = formatBytes(event.loaded) + whole + " left here, " + pace;
    if (event.lengthComputable && event.total > 0) {
      find("bar").value = event.loaded / event.total;
    }
  });
  request.addEventListener("loadend", () => {
    find("progress").hidden = true;
  });
}
