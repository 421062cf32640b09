{
  const form = find("send");
  const choice = watchChoice(form);
  const root = new URL("./", location.href).href;
  let request = null;

  const showLink = () => {
    const url = urlOf(root, find("path").value);
    find("link").href = url;
    find("link").textContent = url;
  };

  const say = (text, bad) => {
    find("lines").hidden = text === "";
    find("lines").textContent = text;
    find("lines").classList.toggle("bad", bad);
  };

  const setSending = (sending) => {
    find("go").disabled = sending;
    find("cancel").hidden = !sending;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = choice.body();
    if (body === null) {
      say("Choose a file or write a text first.", true);
      return;
    }
    const sent = (request = new XMLHttpRequest());
    sent.open("POST", urlOf(root, find("path").value));
    if (body.name) {
      sent.setRequestHeader("Content-Disposition", disposition(body.name));
    }
    watchProgress(sent);
    sent.addEventListener("progress", () => say(sent.responseText, sent.status !== 200));
    sent.addEventListener("load", () => say(sent.responseText, sent.status !== 200));
    sent.addEventListener("error", () => {
      say(sent.responseText + "The connection broke: nobody knows that it arrived.", true);
    });
    sent.addEventListener("abort", () => say("Cancelled.", true));
    sent.addEventListener("loadend", () => setSending(false));
    say("", false);
    setSending(true);
    sent.send(body);
  });

  find("cancel").addEventListener("click", () => request.abort());
  find("path").addEventListener("input", showLink);
  find("path").value = mintKey();
  showLink();
}
