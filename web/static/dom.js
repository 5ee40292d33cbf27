// Elements without markup in strings: what the trader says is text, never HTML.

export const $ = (id) => document.getElementById(id);

/** Make an element; `on*` attributes are listeners, null and false leave an attribute out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set a text if it differs: what does not change is not painted, and a selection in it survives. */
export function write(element, text) {
  const said = text === null || text === undefined ? "" : String(text);
  if (element.textContent !== said) element.textContent = said;
}

/** Set or remove an attribute if it differs. */
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Colour a number: up, down, or neither; the sign is in its text. */
export function tint(element, value) {
  const number = Number(value);
  element.classList.toggle("up", number > 0);
  element.classList.toggle("down", number < 0);
}

/** Keep one child of `parent` for each item, in their order; a child is made once and then updated. */
export function keyed(parent, items, keyOf, create, update) {
  const known = parent.keyedChildren ?? (parent.keyedChildren = new Map());
  const wanted = new Set();
  let before = parent.keyedFirst ?? null;
  items.forEach((item, place) => {
    const key = keyOf(item, place);
    wanted.add(key);
    let child = known.get(key);
    if (!child) {
      child = create(item);
      known.set(key, child);
    }
    update(child, item, place);
    const next = before === null ? parent.firstElementChild : before.nextElementSibling;
    if (next !== child) parent.insertBefore(child, next);
    before = child;
  });
  for (const [key, child] of known) {
    if (!wanted.has(key)) {
      child.remove();
      known.delete(key);
    }
  }
}
