// Changes to the page. Unchanged parts are not touched, so focus and screen readers are not disturbed.

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// Sets a text whose parts between backticks are shown as code.
export function setTextWithCode(target, text) {
  if (target.dataset.text === text) return;
  target.dataset.text = text;
  const parts = text.split("`");
  if (parts.length % 2) target.replaceChildren(...parts.map((part, index) => (index % 2 ? element("code", {}, part) : part)));
  else target.textContent = text;
}

export function setAttribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

export function setVisible(target, visible) {
  if (target.hidden === visible) target.hidden = !visible;
}

// Keeps one child per item, in order; `make` creates a child, `fill` updates it.
export function syncChildren(parent, items, key, make, fill) {
  const existing = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = existing.get(name);
    existing.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    fill(child, item);
  }
  for (const child of existing.values()) child.remove();
}

// Fills a <dl>: rows are [term, text, class?]; a row without text is omitted.
export function facts(list, rows) {
  const known = rows.filter(([, text]) => text !== null && text !== undefined);
  syncChildren(list, known, ([term]) => term, () => element("div", {}, element("dt"), element("dd")), (row, [term, text, kind]) => {
    setText(row.firstChild, term);
    setText(row.lastChild, text);
    setAttribute(row.lastChild, "class", kind ?? "");
  });
}

// Creates a table row; columns are [label, class].
export function cells(columns) {
  const row = element("tr", { role: "row" });
  for (const [label, kind] of columns) {
    const cell = element("td", { role: "cell", class: kind });
    if (label) cell.dataset.label = label;
    row.append(cell);
  }
  return row;
}

// Fills the cells: null shows a dash, undefined leaves the cell unchanged.
export function fillCells(row, texts) {
  texts.forEach((text, index) => {
    if (text === undefined) return;
    setText(row.children[index], text ?? "–");
    row.children[index].classList.toggle("nothing", text === null);
  });
}
