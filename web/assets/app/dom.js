// Elements are made of text alone, never of markup: a job's name cannot become part of the page.

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [props] attributes; a function is a listener, false and null leave the attribute out
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name, /** @type {EventListener} */ (value));
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function find(selector, within = document) {
  const element = within.querySelector(selector);
  if (!element) throw new Error(`there is no ${selector}`);
  return /** @type {any} */ (element);
}

/** A panel is a section of the page that shows one answer, or why there is none. */
export class Panel {
  /** @param {string} selector */
  constructor(selector) {
    this.element = find(selector);
    this.state = find('.state', this.element);
    this.content = this.element.querySelector('.content');
  }

  /** @param {Node[]} nodes what to show instead of the content */
  #show(...nodes) {
    this.state.replaceChildren(...nodes);
    if (this.content instanceof HTMLElement) this.content.hidden = nodes.length > 0;
    this.element.removeAttribute('aria-busy');
  }

  loading() {
    this.#show(h('div', { class: 'loading' }, h('span', { class: 'visually-hidden', role: 'status' }, 'Loading')));
    this.element.setAttribute('aria-busy', 'true');
  }

  ready() { this.#show(); }

  /** @param {string} text */
  empty(text) { this.#show(h('p', { class: 'empty' }, text)); }

  /**
   * @param {string} title what is wrong with what was asked for
   * @param {string} advice
   */
  refused(title, advice) { this.#show(h('p', { class: 'notice bad', role: 'alert' }, h('strong', {}, title), ` ${advice}`)); }

  /**
   * @param {unknown} error
   * @param {() => void} retry
   */
  failed(error, retry) { this.#show(failure(error, retry)); }
}

/**
 * What went wrong, with what to tell whoever runs the server, and a button to try again.
 * @param {any} error
 * @param {() => void} retry
 */
export function failure(error, retry) {
  const facts = h('p', { class: 'facts' },
    error.code ? h('span', {}, 'Code ', h('a', { href: `docs/errors/${encodeURIComponent(error.code)}` }, h('code', {}, error.code))) : null,
    error.requestID ? h('span', {}, 'Request ', h('code', {}, error.requestID)) : null);
  return h('div', { class: 'notice bad', role: 'alert' },
    h('p', {}, h('strong', {}, error.title ?? 'Something went wrong'), ` ${error.message}`),
    facts.childNodes.length ? facts : null,
    h('button', { type: 'button', click: retry }, 'Try again'));
}
