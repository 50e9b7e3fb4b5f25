// What pages can do beyond what the server does: nothing that would be missed without it.
"use strict";

const words = document.body.dataset;
document.documentElement.classList.add("scripted");

// The menu of a phone is folded.
const menu = document.querySelector(".menu");
if (menu && matchMedia("(max-width: 50rem)").matches) menu.open = false;

// Times: relative, in the reader's language, exact on hover.
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
function inWords(seconds) {
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(Math.round(seconds), "second");
  if (size < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 86400) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86400), "day");
}
function countdown(seconds) {
  const left = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (n) => String(n).padStart(2, "0");
  return left === 0 ? words.soon : `${h ? `${h}:${two(m)}` : m}:${two(s)}`;
}
function tick() {
  for (const time of document.querySelectorAll("time[data-time]")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    const said = time.dataset.time === "countdown" ? countdown(seconds) : inWords(Math.min(0, seconds));
    if (time.textContent !== said) time.textContent = said;
  }
}
tick();
setInterval(tick, 1000);

async function copy(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = words.copied;
  setTimeout(() => { button.textContent = before; }, 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy !== undefined) copy(button, button.dataset.copy);
  if (button.dataset.copyLink !== undefined) copy(button, location.origin + location.pathname);
  if (button.dataset.sure && !confirm(button.dataset.sure)) event.preventDefault();
  const offers = button.closest("[data-offers]");
  if (offers) {
    // Everything gives way to what is chosen.
    const area = document.getElementById(offers.dataset.offers);
    const lines = area.value.split(/[\s,]+/).filter((line) => line && line !== "*" && line !== button.value);
    area.value = [...lines, button.value].join("\n");
  }
  if (button.dataset.live !== undefined) {
    const paused = button.closest(".live").classList.toggle("paused");
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? button.dataset.on : button.dataset.off;
  }
});

document.addEventListener("change", (event) => {
  const name = event.target.dataset && event.target.dataset.all;
  if (!name) return;
  for (const box of document.querySelectorAll(`input[name="${name}"]`)) box.checked = event.target.checked;
});

// What is live waits while somebody reads in it: a selection, an open detail, a focused field.
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const place = event.target.closest(".live") || event.target;
  const chosen = getSelection();
  const busy = place.classList.contains("paused")
    || place.querySelector("[sse-swap] details[open]")
    || (place.contains(document.activeElement) && !document.activeElement.matches("[data-live]"))
    || (chosen && !chosen.isCollapsed && place.contains(chosen.anchorNode));
  if (busy) event.preventDefault();
});
document.addEventListener("htmx:sseMessage", tick);

// A stream ends by itself now and then, and another is opened: only one that stays away is told of.
const away = new Map();
function lost(place, is) {
  const word = place.querySelector(".live-word");
  place.classList.toggle("lost", is);
  word.textContent = is ? word.dataset.lost : word.dataset.here;
}
document.addEventListener("htmx:sseError", (event) => {
  const place = event.target.closest(".live");
  if (place && !away.has(place)) away.set(place, setTimeout(() => lost(place, true), 8000));
});
document.addEventListener("htmx:sseOpen", (event) => {
  const place = event.target.closest(".live");
  if (!place) return;
  clearTimeout(away.get(place));
  away.delete(place);
  lost(place, false);
});

// What was sent once is not sent twice by an impatient click.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || !button || event.target.method !== "post") return;
  button.setAttribute("aria-busy", "true");
  setTimeout(() => { button.disabled = true; });
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[aria-busy]")) {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
});
