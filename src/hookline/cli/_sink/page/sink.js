// The page of `hookline sink`: listens to /events and lists what arrives, newest first.
// Whatever comes from outside is put in with textContent, never as HTML.
"use strict";

const KEEP = 1000;
const $ = (id) => document.getElementById(id);
const list = $("list");
let verified = 0;
let refused = 0;
let settled = false; // what was there before the page opened does not flash

function connect() {
  const source = new EventSource("/events");
  source.addEventListener("open", () => link(true));
  // The browser comes back by itself, and says with which id it left.
  source.addEventListener("error", () => link(false));
  source.addEventListener("anew", (event) => {
    about(JSON.parse(event.data));
    list.replaceChildren();
    verified = refused = 0;
    settled = false;
    setTimeout(() => { settled = true; }, 300);
    count();
  });
  source.addEventListener("message", (event) => {
    add(JSON.parse(event.data));
    count();
  });
}

function link(live) {
  $("link").textContent = live ? "live" : "sink not reachable, trying again";
  $("link").classList.toggle("live", live);
}

function about({ url, summary }) {
  $("about").hidden = false;
  $("url").textContent = url;
  $("summary").textContent = summary;
  $("register").textContent = `register_webhook("${url}", ["*"])`;
  $("curl").textContent =
    `curl ${url} -H "Content-Type: application/json" \\\n  -d '{"event": "customer.created", "data": {"name": "张三"}}'`;
}

function count() {
  const all = list.childElementCount;
  $("empty").hidden = all > 0;
  $("clear").disabled = all === 0;
  const parts = [all ? `${all} received` : ""];
  if (verified) parts.push(`${verified} verified`);
  if (refused) parts.push(`${refused} not`);
  $("count").textContent = parts.join(" · ");
  document.title = all ? `(${all}) Hookline sink` : "Hookline sink";
}

function add(hook) {
  const row = $("row").content.cloneNode(true);
  const item = row.querySelector("li");
  const part = (name) => row.querySelector(`.${name}`);
  part("time").textContent = new Date(hook.received_at).toLocaleTimeString("en-GB");
  part("time").dateTime = hook.received_at;
  part("event").textContent = visible(hook.event) || "(no event)";
  part("event").classList.toggle("none", !hook.event);
  part("id").textContent = visible(hook.id ?? "").slice(0, 40);
  part("attempt").textContent = hook.attempt ? `attempt ${hook.attempt}` : "";
  part("status").textContent = hook.answered ?? "dropped";
  part("status").classList.toggle("good", hook.answered >= 200 && hook.answered < 300);
  part("status").classList.toggle("bad", hook.answered === null);
  badge(part("badge"), hook);
  item.classList.toggle("new", settled);
  // Bodies are laid out when somebody looks, not for each of a thousand rows.
  const details = row.querySelector("details");
  details.addEventListener("toggle", () => fill(details, hook), { once: true });
  list.prepend(row);
  while (list.childElementCount > KEEP) list.lastElementChild.remove();
}

function badge(element, { verified: fits }) {
  if (fits === true) verified += 1;
  if (fits === false) refused += 1;
  element.textContent = fits === null ? "not checked" : fits ? "✓ verified" : "✗ not verified";
  element.classList.toggle("good", fits === true);
  element.classList.toggle("bad", fits === false);
}

function fill(details, hook) {
  const part = (name) => details.querySelector(`.${name}`);
  part("problem").hidden = !hook.problem;
  part("problem").textContent = hook.problem ?? "";
  part("problem").classList.toggle("mild", hook.verified === true);
  pairs(part("facts"), [
    ["request", `${hook.method} ${hook.path}`],
    ["id", hook.id ?? "none"],
    ["received", hook.received_at],
  ]);
  const cut = hook.cut ? ", only the beginning is shown" : "";
  part("size").textContent = `${hook.size.toLocaleString("en")} bytes${cut}`;
  part("body").textContent = visible(hook.shown) || "(empty)";
  pairs(part("headers"), hook.headers);
}

function pairs(target, entries) {
  for (const [name, value] of entries) {
    const term = document.createElement("dt");
    term.textContent = visible(name);
    const detail = document.createElement("dd");
    detail.textContent = visible(value);
    target.append(term, detail);
  }
}

// Control and direction characters are written out: they could show one text and mean another.
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

$("clear").addEventListener("click", () => fetch("/received", { method: "DELETE" }));
connect();
