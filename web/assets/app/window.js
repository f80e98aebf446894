const DAY = 86_400_000;

/** @param {number} ms */
const dateOf = (ms) => new Date(ms).toISOString().slice(0, 10);

/** A run of whole UTC days. */
export class Days {
  /**
   * @param {string} first YYYY-MM-DD
   * @param {string} last YYYY-MM-DD, included
   * @param {number} [preset] how many days up to today it was asked for as
   */
  constructor(first, last, preset = 0) {
    this.first = first;
    this.last = last;
    this.preset = preset;
  }

  /** @param {number} count */
  static upToToday(count) {
    const now = Date.now();
    return new Days(dateOf(now - (count - 1) * DAY), dateOf(now), count);
  }

  /**
   * @param {URLSearchParams} query
   * @returns {Days} what the page's address says, or the last 30 days
   */
  static from(query) {
    const first = query.get('from') ?? '', last = query.get('to') ?? '', preset = Number(query.get('days'));
    if (!problemWith(first, last)) return new Days(first, last);
    return Days.upToToday([7, 30, 90].includes(preset) ? preset : 30);
  }

  /** @param {URLSearchParams} query */
  writeTo(query) {
    for (const name of ['from', 'to', 'days']) query.delete(name);
    if (this.preset) {
      query.set('days', String(this.preset));
    } else {
      query.set('from', this.first);
      query.set('to', this.last);
    }
  }

  /** @returns {import('./api.js').Window} half-open, as the API takes it */
  get window() { return { from: this.first, to: dateOf(Date.parse(this.last) + DAY) }; }

  /** @returns {number} how much of the window has passed, in whole seconds, at least one */
  get elapsedSeconds() {
    const start = Date.parse(this.first), end = Math.min(Date.parse(this.last) + DAY, Date.now());
    return Math.max(1, Math.trunc((end - start) / 1000));
  }

  /** @returns {boolean} whether some of the window is still to come */
  get underWay() { return Date.parse(this.last) + DAY > Date.now(); }

  /** @param {string} timestamp */
  includes(timestamp) {
    const date = timestamp.slice(0, 10);
    return this.first <= date && date <= this.last;
  }
}

const MAX_DAYS = 3660;

/**
 * @param {string} first
 * @param {string} last
 * @returns {string} why the two are no window; empty if they are one
 */
export function problemWith(first, last) {
  const from = Date.parse(first), to = Date.parse(last);
  if (!/^\d{4}-\d\d-\d\d$/.test(first) || !/^\d{4}-\d\d-\d\d$/.test(last) || Number.isNaN(from) || Number.isNaN(to)) return 'Give both days.';
  if (to < from) return 'The last day is before the first.';
  if ((to - from) / DAY >= MAX_DAYS) return 'A window spans at most 3 660 days.';
  return '';
}
