// Conveniences only: without this script a page loses no content, and the language switch is CSS alone.
"use strict";
const make = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const words = (zh, en) => [make("span", {lang: "zh-CN", textContent: zh}), make("span", {lang: "en", textContent: en})];

// Copy a command.
for (const code of document.querySelectorAll("code.command")) {
  const button = make("button", {type: "button", className: "tool copy"}, ...words("复制", "copy"));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.replaceChildren(...words("已复制", "copied"));
    setTimeout(() => button.replaceChildren(...words("复制", "copy")), 2000);
  });
  code.after(button);
}

// Zoom a figure: a click or Enter shows it as large as the window allows; Esc, a click or the button closes it.
const zoom = make("dialog", {className: "zoom"});
zoom.setAttribute("aria-label", "figure / 图");
document.body.append(zoom);
zoom.addEventListener("click", () => zoom.close());
for (const image of document.querySelectorAll("figure img")) {
  const button = make("button", {type: "button", className: "zoomable"});
  button.setAttribute("aria-label", "放大 / enlarge: " + image.alt);
  image.replaceWith(button);
  button.append(image);
  button.addEventListener("click", () => {
    const close = make("button", {type: "button", className: "tool close"}, ...words("关闭", "close"));
    zoom.replaceChildren(close, make("img", {src: image.src, alt: image.alt}));
    zoom.showModal();
  });
}

// Sort a table by a column: numbers by value, texts by the language that is shown.
const shown = (cell) => (cell.innerText ?? "").trim();
const value = (text) => {
  const plain = text.replace(/[,\s]/g, "").replace(/×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)/, (_, e) => "e" + [...e].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(c) - 1).join("").replace("-1", "-"));
  return /^[-−]?[\d.]/.test(plain) ? parseFloat(plain.replace("−", "-")) : NaN;
};
const compare = (a, b) => {
  const [x, y] = [value(a), value(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.localeCompare(b, "zh");
  return x - y;
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = make("button", {type: "button", className: "sort"});
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = head.ariaSort === "ascending" ? -1 : 1;
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.ariaSort = order === 1 ? "ascending" : "descending";
      const rows = [...table.tBodies[0].rows].map((row) => [shown(row.cells[column]), row]);
      table.tBodies[0].append(...rows.sort((a, b) => order * compare(a[0], b[0])).map((pair) => pair[1]));
    });
  });
}

// Mark the current section in the contents.
const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
const heads = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
const mark = () => {
  const current = heads.filter((head) => head.getBoundingClientRect().top < 120).at(-1);
  links.forEach((a, id) => (id === current?.id ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current")));
};
if (heads.length) {
  addEventListener("scroll", mark, {passive: true});
  mark();
}
