import { h } from './dom.js';

/** How many rows are drawn above and below the visible ones, so that a quick scroll shows no gap. */
const EXTRA_ROWS = 12;

/**
 * A table of any number of rows, of which only those near the visible ones are in the page.
 */
export class VirtualTable {
  /** @type {Map<number, HTMLElement>} */
  #rows = new Map();
  #count = 0;
  #rowHeight = 1;
  #drawScheduled = false;
  #rowHeightStale = true; // whether the height of a row must be read again

  /**
   * @param {HTMLElement} scroller
   * @param {{ title: string, class: string }[]} columns
   * @param {(index: number) => HTMLElement[]} cells of one row
   * @param {(index: number) => string | null} kind the class of one row
   * @param {(index: number) => void} choose called when the reader points at a row and presses
   * @param {() => void} [nearEnd] called when the last rows come near
   */
  constructor(scroller, columns, cells, kind, choose, nearEnd = () => {}) {
    this.scroller = scroller;
    this.cells = cells;
    this.kind = kind;
    this.nearEnd = nearEnd;
    this.above = h('tbody', { 'aria-hidden': 'true' }, h('tr', {}, h('td', { class: 'space' })));
    this.below = h('tbody', { 'aria-hidden': 'true' }, h('tr', {}, h('td', { class: 'space' })));
    this.body = h('tbody');
    this.table = h('table', { class: 'virtual' },
      h('thead', {}, h('tr', { 'aria-rowindex': 1 }, ...columns.map((c) => h('th', { scope: 'col', class: c.class }, c.title)))),
      this.above, this.body, this.below);
    scroller.replaceChildren(this.table);
    this.body.addEventListener('click', (event) => {
      const target = /** @type {Element} */ (event.target), row = target.closest('tr');
      // A press that selects text, or is for a button of the row, is none for the row.
      if (row && !target.closest('button') && getSelection()?.isCollapsed !== false) choose(indexOf(row));
    });
    scroller.addEventListener('scroll', () => this.#scheduleDraw(), { passive: true });
    new ResizeObserver(() => {
      this.#rowHeightStale = true;
      this.#scheduleDraw();
    }).observe(scroller);
  }

  /**
   * Gives the focus to the button of a row that is in the page, if there is one.
   * @param {number} index
   */
  focus(index) {
    this.#rows.get(index)?.querySelector('button')?.focus({ preventScroll: true });
  }

  #scheduleDraw() {
    if (this.#drawScheduled) return;
    this.#drawScheduled = true;
    requestAnimationFrame(() => {
      this.#drawScheduled = false;
      this.#draw();
    });
  }

  /** @param {number} count rows there are now; those drawn already stay as they are */
  grow(count) {
    this.#count = count;
    this.table.setAttribute('aria-rowcount', String(count + 1));
    this.#scheduleDraw();
  }

  /** @param {number} count rows there are now; all are drawn anew */
  redraw(count) {
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
    this.#count = count;
    this.table.setAttribute('aria-rowcount', String(count + 1));
    this.#draw();
  }

  #draw() {
    if (this.#rowHeightStale) this.#rowHeight = Number.parseInt(getComputedStyle(this.scroller).getPropertyValue('--row'), 10);
    this.#rowHeightStale = false;
    const height = this.#rowHeight;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / height) - EXTRA_ROWS);
    const last = Math.min(this.#count, Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / height) + EXTRA_ROWS);
    for (const [index, row] of this.#rows) {
      if (index < first || index >= last) {
        row.remove();
        this.#rows.delete(index);
      }
    }
    let before = /** @type {Element | null} */ (this.body.firstElementChild);
    for (let index = first; index < last; index++) {
      const existing = this.#rows.get(index);
      if (existing) {
        before = existing.nextElementSibling;
        continue;
      }
      const row = h('tr', { 'aria-rowindex': index + 2, class: this.kind(index) }, ...this.cells(index));
      this.#rows.set(index, row);
      this.body.insertBefore(row, before);
    }
    this.#space(this.above, first);
    this.#space(this.below, Math.max(0, this.#count - last));
    if (last >= this.#count - EXTRA_ROWS) this.nearEnd();
  }

  /**
   * @param {HTMLElement} part
   * @param {number} rows that are not in the page
   */
  #space(part, rows) {
    part.hidden = rows === 0;
    /** @type {HTMLElement} */ (part.firstElementChild?.firstElementChild).style.height = `${rows * this.#rowHeight}px`;
  }

  /**
   * Brings a row into the middle of what is visible.
   * @param {number} index
   * @returns {HTMLElement | undefined}
   */
  show(index) {
    this.scroller.scrollTop = Math.max(0, index * this.#rowHeight - this.scroller.clientHeight / 2);
    this.#draw();
    return this.#rows.get(index);
  }
}

/** @param {Element} row */
function indexOf(row) { return Number(row.getAttribute('aria-rowindex')) - 2; }
