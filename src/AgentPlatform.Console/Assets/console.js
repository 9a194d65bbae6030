// What a page gains from script: times in the reader's zone, messages sent without a reload, and the conversation as it happens.
// Everything here works without it too.
(() => {
  "use strict";

  const formats = {
    clock: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    minute: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }),
    day: new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
  };

  function localize(root) {
    for (const time of root.querySelectorAll("time[data-format]")) {
      time.textContent = formats[time.dataset.format].format(new Date(time.dateTime));
    }
  }

  function announce(message) {
    const said = message.querySelector(".text");
    if (said && message.classList.contains("theirs")) {
      document.getElementById("announcer").textContent = `${message.querySelector(".visually-hidden").textContent} ${said.textContent}`;
    }
  }

  // The server renders and encodes every piece with the same component as the page; here it only takes its place.
  function place(patch) {
    const template = document.createElement("template");
    template.innerHTML = patch.html;
    const piece = template.content.firstElementChild;
    if (!piece) {
      return;
    }

    localize(template.content);
    const old = document.getElementById(patch.id);
    if (old) {
      if (old.dataset.rev !== piece.dataset.rev) {
        old.replaceWith(piece);
      }
    } else if (patch.list) {
      const list = document.getElementById(patch.list);
      list.append(piece);
      piece.classList.add("new");
      list.parentElement.querySelector(".nothing")?.remove();
      if (patch.list === "messages") {
        announce(piece);
      }
    }
  }

  // The page has changed at the server: its live parts are read again. One that somebody is filling in stays as it is.
  async function reread() {
    const answer = await fetch(location.href);
    if (!answer.ok) {
      return;
    }

    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const old = document.getElementById(part.id);
      const inUse = old.contains(document.activeElement) || [...old.querySelectorAll("input")].some((i) => i.type !== "hidden" && i.value !== i.defaultValue);
      if (!inUse && old.outerHTML !== part.outerHTML) {
        const live = old.querySelector("#live");
        const opened = [...old.querySelectorAll("details")].map((d) => d.open);
        part.querySelectorAll("details").forEach((d, i) => d.toggleAttribute("open", opened[i] ?? false));
        old.replaceWith(part);
        part.querySelector("#live")?.replaceWith(live);
        localize(part);
      }
    }
  }

  function follow(stage) {
    const live = document.getElementById("live");
    const show = (state, text) => {
      live.dataset.state = state;
      live.querySelector("span").textContent = text;
    };
    show("off", "Connecting");
    const events = new EventSource(`${stage.dataset.stream}?after=${stage.dataset.version}`);
    events.addEventListener("alive", () => show("on", "Live"));
    events.addEventListener("patch", (e) => place(JSON.parse(e.data)));
    events.addEventListener("changed", reread);
    events.onerror = () => {
      const over = events.readyState === EventSource.CLOSED;
      show("off", over ? "Not live: reload the page" : "Reconnecting");
    };
    addEventListener("pagehide", () => events.close());
    addEventListener("pageshow", (e) => e.persisted && location.reload());
  }

  function sendInPlace(form) {
    const text = form.elements.text;
    const send = form.querySelector("button");
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      if (send.disabled) {
        return;
      }

      send.disabled = true;
      try {
        const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
        // A redirect means taken: the stream brings the message. Any other answer is a page that says what is wrong.
        if (answer.type !== "opaqueredirect") {
          form.submit();
          return;
        }

        text.value = "";
        form.querySelector(".alert")?.remove();
      } catch {
        document.getElementById("announcer").textContent = "Not sent: the server does not answer.";
        text.setCustomValidity("Not sent: the server does not answer.");
        text.reportValidity();
        text.setCustomValidity("");
      } finally {
        send.disabled = false;
        text.focus();
      }
    });
  }

  localize(document);
  const stage = document.querySelector("[data-stream]");
  if (stage) {
    follow(stage);
  }

  const composer = document.getElementById("composer");
  if (composer) {
    sendInPlace(composer);
  }
})();
