// Suggestions below the field of names, for the name at the cursor.

import {get, make} from "./api.js";

const SEPARATOR = /[\s,;]/;
const LEAST_TYPED = 2;
const WAIT = 120; // milliseconds without a key before the server is asked

export function splitNames(text) {
  return text.split(/[\s,;]+/).filter(Boolean);
}

export function startSuggestions(field, list, status) {
  let active = -1;
  let timer = 0;
  let asked = 0;

  function place() {
    const end = field.selectionStart;
    let start = end;
    while (start > 0 && !SEPARATOR.test(field.value[start - 1])) start -= 1;
    return {start, end, text: field.value.slice(start, end)};
  }

  function hide() {
    asked += 1;
    clearTimeout(timer);
    list.hidden = true;
    list.replaceChildren();
    active = -1;
    field.removeAttribute("aria-activedescendant");
    status.textContent = "";
  }

  function mark(number) {
    active = number;
    Array.from(list.children).forEach((option, i) => {
      option.setAttribute("aria-selected", String(i === active));
    });
    const option = list.children[active];
    if (option) {
      field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({block: "nearest"});
      status.textContent = option.textContent;
    } else {
      field.removeAttribute("aria-activedescendant");
    }
  }

  function take(name) {
    const {start} = place();
    let end = field.selectionStart;
    while (end < field.value.length && !SEPARATOR.test(field.value[end])) end += 1;
    const after = field.value.slice(end);
    const gap = after.startsWith(",") ? "" : ", ";
    field.value = field.value.slice(0, start) + name + gap + after.trimStart();
    const cursor = start + name.length + gap.length;
    field.setSelectionRange(cursor, cursor);
    field.focus();
    hide();
  }

  async function look() {
    const {text} = place();
    if (text.length < LEAST_TYPED) {
      hide();
      return;
    }
    asked += 1;
    const number = asked;
    let found;
    try {
      found = await get(`/api/names?text=${encodeURIComponent(text.slice(0, 200))}`);
    } catch {
      return; // names can be typed without suggestions
    }
    if (number !== asked || document.activeElement !== field) return;
    const isSame = found.length === 1 && found[0].name === text;
    if (!found.length || isSame) {
      hide();
      return;
    }
    list.replaceChildren(...found.map((entry, i) => {
      const option = make("li", {role: "option", id: `suggestion-${i}`, "aria-selected": "false"},
        make("b", {}, entry.name), " ", make("span", {}, entry.about));
      option.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(entry.name);
      });
      option.dataset.name = entry.name;
      return option;
    }));
    active = -1;
    list.hidden = false;
    status.textContent = `${found.length} suggestions; the arrow keys choose, Enter takes one`;
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  });
  field.addEventListener("blur", hide);
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const n = list.children.length;
    if (event.key === "ArrowDown") {
      mark((active + 1) % n);
    } else if (event.key === "ArrowUp") {
      mark(active <= 0 ? n - 1 : active - 1);
    } else if (event.key === "Enter" && active >= 0) {
      take(list.children[active].dataset.name);
    } else if (event.key === "Escape") {
      hide();
    } else {
      return;
    }
    event.preventDefault();
  });
}
