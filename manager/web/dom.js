// Elements. Texts are set as texts: nothing that a program is called or writes is read as HTML.

/**
 * @param {string} name Of the element, with classes: `td.number`.
 * @param {Record<string, any>} [about] Attributes; `on…` are listeners.
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function h(name, about = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(about)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/** What is different alone is touched: a selection of text stays. @param {any} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} selector @returns {any} */
export const $ = (selector) => document.querySelector(selector);

/**
 * Makes the children of an element those of a list, in its order; what is there already stays the same element.
 *
 * @template T
 * @param {Element} parent
 * @param {T[]} list
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => any} make
 * @param {(element: any, item: T) => void} update
 */
export function keyed(parent, list, keyOf, make, update) {
  const before = new Map([...parent.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of list) {
    const key = keyOf(item);
    const element = before.get(key) ?? make(item);
    element.dataset.key = key;
    before.delete(key);
    update(element, item);
    if (element === next) next = next?.nextElementSibling ?? null;
    else parent.insertBefore(element, next);
  }
  for (const element of before.values()) element.remove();
}

/** A word of good or of bad news, for some seconds. @param {string} text @param {boolean} [isBad] */
export function notice(text, isBad = false) {
  const element = h(isBad ? 'p.bad' : 'p', {}, text, h('button', { 'aria-label': 'Close', onclick: () => element.remove() }, '×'));
  $('#notices').append(element);
  setTimeout(() => element.remove(), isBad ? 15_000 : 5000);
}
