// Small changes to the page: nothing is touched that stays the same, so focus and screen readers are left in peace.

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

export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function mark(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

export function show(target, visible) {
  if (target.hidden === visible) target.hidden = !visible;
}

// Keeps one child for each item, in order; `make` gives a new one, `fill` brings it up to date.
export function keep(parent, items, key, make, fill) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = there.get(name);
    there.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    fill(child, item);
  }
  for (const child of there.values()) child.remove();
}

// Fills a <dl>: rows are [term, text, class?]; without text a row is left out.
export function facts(list, rows) {
  const known = rows.filter(([, text]) => text !== null && text !== undefined);
  keep(list, known, ([term]) => term, () => element("div", {}, element("dt"), element("dd")), (row, [term, text, kind]) => {
    say(row.firstChild, term);
    say(row.lastChild, text);
    mark(row.lastChild, "class", kind ?? "");
  });
}

// Makes the cells of a table's row; columns are [label, class].
export function cells(columns) {
  const row = element("tr", { role: "row" });
  for (const [label, kind] of columns) {
    const cell = element("td", { role: "cell", class: kind });
    if (label) cell.dataset.label = label;
    row.append(cell);
  }
  return row;
}

// Fills them: texts, null for nothing to say.
export function fillCells(row, texts) {
  texts.forEach((text, index) => {
    if (text === undefined) return;
    say(row.children[index], text ?? "–");
    row.children[index].classList.toggle("nothing", text === null);
  });
}
