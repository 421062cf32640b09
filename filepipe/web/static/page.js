// Where this page reaches the daemon, and where others do.
const here = new URL("./", location.href).href;
const shown = document.body.dataset.base ? document.body.dataset.base + "/" : here;

// -- what the other side needs

const LOOPBACK = /^\w+:..(localhost|[\w.-]+\.localhost|127\.[\d.]+|\[::1\])(:|\/)/;
let drawing = 0;

/** Links, commands and QR code for `key`; none for an empty one. */
function share(key, live) {
  find("share").hidden = key === "";
  if (key === "") {
    return;
  }
  const url = urlOf(shown, key);
  find("link").value = url;
  find("curl-receive").value = (key.endsWith("/") ? "curl " : "curl -OJ ") + url;
  find("curl-send").value = "curl " + (live ? "-X POST " : "") + "-T FILE " + url;
  find("local-note").hidden = !LOOPBACK.test(url);
  clearTimeout(drawing);
  drawing = setTimeout(() => {
    find("qr").alt = "QR code of " + url;
    find("qr").src = here + "-/qr?key=" + encodeURIComponent(key);
  }, 250);
}

async function copy(button) {
  const field = find(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    document.execCommand("copy"); // a page that came without TLS has no clipboard
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

find("qr").addEventListener("error", () => (find("qr").hidden = true));
find("qr").addEventListener("load", () => (find("qr").hidden = false));
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button));
}

// -- send

const form = find("send");
const choice = watchChoice(form);
let request = null;

const isLive = () => form.elements.how.value === "live";

function say(text, mood) {
  find("result").textContent = text;
  find("result").dataset.mood = mood;
}

/** What came of it: the server's own sentence, and never more than is known. */
function tell(sent, live, size) {
  const sentence = sent.responseText.trim().slice(0, 300);
  if (sent.status !== 200) {
    const what = live ? "Did not arrive: " : "Not stored: ";
    say(what + (sentence || "refused") + " (" + sent.status + ")", "bad");
  } else if (live) {
    say("Arrived: " + sentence + ".", "good");
  } else {
    const kept = find("kept").selectedOptions[0].textContent;
    say("Stored whole: " + formatBytes(size) + ", kept for " + kept + " unless it is read.", "good");
  }
}

function send(body, key, live) {
  const query = live ? "?wait=" + document.body.dataset.wait : "?max-age=" + find("kept").value;
  const sent = (request = new XMLHttpRequest());
  sent.open(live ? "POST" : "PUT", urlOf(here, key) + query);
  if (body.name) {
    sent.setRequestHeader("Content-Disposition", disposition(body.name));
  }
  watchProgress(sent);
  sent.addEventListener("load", () => tell(sent, live, body.size));
  sent.addEventListener("error", () => {
    say("The connection broke: nobody knows whether it arrived whole.", "bad");
  });
  sent.addEventListener("abort", () => say("Cancelled.", "bad"));
  sent.addEventListener("loadend", () => setSending(false));
  setSending(true);
  say(live ? "Waiting for the receiver, then handing over." : "Sending. Readers follow live.", "busy");
  sent.send(body);
}

function setSending(sending) {
  find("go").disabled = sending;
  find("cancel").hidden = !sending;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const body = choice.body();
  if (body === null) {
    say("Choose a file or write a text first.", "bad");
    return;
  }
  const field = find("send-key");
  field.value = field.value.trim() || mintKey();
  share(field.value, isLive());
  send(body, field.value, isLive());
});

form.addEventListener("input", () => {
  find("kept-field").hidden = isLive();
  share(find("send-key").value.trim(), isLive());
});
find("cancel").addEventListener("click", () => request.abort());

// a file that is dropped anywhere is the file to send
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length > 0) {
    form.elements.what.value = "file";
    find("file").files = event.dataTransfer.files;
    form.elements.what[0].dispatchEvent(new Event("change", { bubbles: true }));
  }
});

// -- receive

/** A link that the browser follows by itself, so that it writes to disk what comes. */
function follow(key, saved) {
  const link = document.createElement("a");
  link.href = urlOf(here, key);
  link.rel = "noopener";
  if (saved) {
    link.download = "";
  } else {
    link.target = "_blank";
  }
  link.click();
}

/** The key that somebody wrote, or pasted as a link. */
function keyIn(text) {
  const root = [shown, here].find((each) => text.startsWith(each));
  try {
    return root === undefined ? text : decodeURIComponent(text.slice(root.length));
  } catch {
    return text;
  }
}

find("receive").addEventListener("submit", (event) => {
  event.preventDefault();
  follow(keyIn(find("receive-key").value.trim()), event.submitter !== find("open"));
});

// -- the dashboard

const COLUMNS = ["Key", "Kind", "Bytes", "Rate", "Readers", "Age"];
const STALE = 2500; // milliseconds without a picture after which nothing moves
const POINTS = 60; // seconds that the curves show
let source = null;
let last = null;

function setText(id, text) {
  if (find(id).textContent !== text) {
    find(id).textContent = text;
  }
}

function formatAge(seconds) {
  const [minute, hour, day] = [60, 3600, 86400];
  if (seconds < minute) return Math.floor(seconds) + " s";
  if (seconds < hour) return Math.floor(seconds / minute) + " min";
  if (seconds < day) {
    return Math.floor(seconds / hour) + " h " + Math.floor((seconds % hour) / minute) + " min";
  }
  return Math.floor(seconds / day) + " d";
}

function plural(count, noun) {
  return count + " " + noun + (count === 1 ? "" : "s");
}

/** Who takes part, in words; also for those who wait where there is no channel. */
function people(row) {
  const found = [];
  if (row.seats) found.push(row.seated + " of " + row.seats + " here");
  if (row.readers) found.push(row.readers + (row.state ? " reading" : " waiting"));
  if (row.waiting) found.push(row.waiting + " waiting");
  const writers = row.state ? row.writers_waiting : row.writers;
  if (writers) found.push(plural(writers, "sender") + " waiting");
  return found.join(", ");
}

/** What stands in a line, in the order of the columns; "" where there is nothing to say. */
function describe(row) {
  const name = row.key === undefined ? "hidden" : row.key;
  if (!row.state) {
    return [name, row.kind || "no sender yet", "", "", people(row), ""];
  }
  const whole = row.length !== null && row.length !== row.size;
  const size = formatBytes(row.size) + (whole ? " of " + formatBytes(row.length) : "");
  const rate = row.rate ? formatBytes(row.rate) + "/s" : "";
  return [name, row.kind, size, rate, people(row), ""];
}

function newLine() {
  const line = document.createElement("tr");
  COLUMNS.forEach((label, place) => {
    const cell = document.createElement(place === 0 ? "th" : "td");
    if (place === 0) {
      cell.scope = "row";
      cell.className = "key";
    }
    cell.dataset.label = label;
    cell.append(document.createElement("span"));
    line.append(cell);
  });
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "received so far");
  line.cells[2].append(bar);
  return line;
}

function fillCell(cell, text) {
  if (cell.firstChild.textContent !== text) {
    cell.firstChild.textContent = text;
  }
  cell.classList.toggle("none", text === "");
}

/** One line of the table; what does not change is not touched, so that it can be selected. */
function fillLine(line, row) {
  describe(row).forEach((text, place) => {
    if (place < 5) fillCell(line.cells[place], text);
  });
  line.cells[0].classList.toggle("soft", row.key === undefined);
  line.dataset.kind = row.kind || "none";
  line.dataset.state = row.state || "waits";
  line.cells[1].title = row.state || "";
  line.dataset.born = row.state ? Date.now() - row.age * 1000 : "";
  const bar = line.cells[2].lastChild;
  bar.hidden = row.state !== "writing" || !row.length;
  if (!bar.hidden) bar.value = Math.min(1, row.size / row.length);
}

function showRows(state) {
  const rows = [...(state.keys || state.unnamed), ...(state.waiting_keys || state.unnamed_waiting)];
  const body = find("rows");
  while (body.rows.length < rows.length) body.append(newLine());
  while (body.rows.length > rows.length) body.lastElementChild.remove();
  rows.forEach((row, place) => fillLine(body.rows[place], row));
  find("list").hidden = rows.length === 0;
  find("empty").hidden = rows.length !== 0;
  find("hidden-note").hidden = state.keys !== undefined;
  find("left-off").hidden = !state.left_off;
  setText("left-off", "and " + state.left_off + " more");
}

function showBudget(name, budget) {
  const limited = budget.limit !== null;
  setText(name, formatBytes(budget.used));
  setText(name + "-limit", limited ? "of " + formatBytes(budget.limit) : "no limit");
  find(name + "-bar").hidden = !limited;
  find(name + "-bar").value = limited && budget.limit > 0 ? budget.used / budget.limit : 0;
}

const curves = { in: [], out: [] };
const rates = { in: 0, out: 0 };

function measureRates(state) {
  const seconds = last === null ? 0 : state.uptime - last.state.uptime;
  for (const way of ["in", "out"]) {
    const count = state["bytes_" + way];
    const moved = seconds > 0 ? (count - last.state["bytes_" + way]) / seconds : 0;
    rates[way] = (rates[way] + Math.max(0, moved)) / 2; // they come in gusts
    setText("sum-" + way, formatBytes(count) + " so far");
  }
}

/** Each second one point more; both curves have the same scale. */
function drawCurves() {
  for (const way of ["in", "out"]) {
    curves[way].push(rates[way]);
    if (curves[way].length > POINTS) curves[way].shift();
    setText("rate-" + way, formatBytes(rates[way]) + "/s");
  }
  const top = Math.max(1, ...curves.in, ...curves.out);
  for (const way of ["in", "out"]) {
    const first = POINTS - curves[way].length;
    const points = curves[way].map((rate, at) => [first + at, (29 - (28 * rate) / top).toFixed(1)]);
    const line = points.map((point) => point.join(",")).join(" ");
    find("curve-" + way).setAttribute("points", first + ",30 " + line + " " + (POINTS - 1) + ",30");
  }
}

function show(state) {
  const kinds = Object.entries(state.channels).filter(([, count]) => count > 0);
  setText("count", String(kinds.reduce((sum, [, count]) => sum + count, 0)));
  setText("kinds", kinds.map(([kind, count]) => kind + " " + count).join(", ") || "none");
  setText("waiting", String(state.waiting_readers));
  showBudget("memory", state.memory);
  showBudget("disk", state.disk);
  measureRates(state);
  showRows(state);
  last = { state, at: Date.now() };
  showAges();
  setLiveness(state.phase === "running" ? "live" : state.phase);
}

function showAges() {
  for (const line of find("rows").rows) {
    const born = line.dataset.born;
    fillCell(line.cells[5], born ? formatAge(Math.max(0, (Date.now() - born) / 1000)) : "");
  }
}

function setLiveness(word) {
  setText("liveness", word);
  find("liveness").dataset.is = word;
}

function watch() {
  source = new EventSource(here + "state");
  source.addEventListener("message", (event) => show(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    setLiveness("reconnecting");
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(rewatch, 5000); // it was refused: a browser does not ask again by itself
    }
  });
}

/** A hidden page holds no connection: a browser has few of them for one server. */
function rewatch() {
  if (source !== null) {
    source.close();
    source = null;
  }
  if (!document.hidden) {
    watch();
  }
}

function tick() {
  showAges();
  if (last !== null && Date.now() - last.at > STALE) {
    rates.in /= 2;
    rates.out /= 2;
  }
  drawCurves();
}

if (document.body.dataset.live === "yes") {
  find("dashboard").hidden = false;
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", rewatch);
  rewatch();
}
form.dispatchEvent(new Event("input"));
