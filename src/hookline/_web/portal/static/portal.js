// Takes the key out of the link and posts it, once; the address bar keeps nothing of it.
"use strict";

const entry = document.querySelector("#entry");

function open() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return false;
  history.replaceState(null, "", location.pathname);
  entry.elements.key.value = key;
  entry.submit();
  return true;
}

if (!open() && entry.dataset.home) location.replace(entry.dataset.home);
addEventListener("hashchange", open);
