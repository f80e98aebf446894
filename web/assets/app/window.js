import { counted, dayWithoutWeekday, month as nameOfMonth } from './format.js';

const DAY = 86_400_000;

/** What the API takes at most. */
const MAX_DAYS = 3660;

/** The parameters of an address that give a window. */
const NAMES = ['month', 'last', 'from', 'to'];

/** @param {number} ms */
const dateOf = (ms) => new Date(ms).toISOString().slice(0, 10);

/**
 * @param {string} date YYYY-MM-DD
 * @param {number} days
 */
const plusDays = (date, days) => dateOf(Date.parse(date) + days * DAY);

const today = () => dateOf(Date.now());

/** Why an address or a form gives no window, in a sentence for the reader. */
export class WindowError extends Error {}

/** A window of whole UTC days. The command line has the same windows, with the same words. */
export class Days {
  /**
   * @param {string} from YYYY-MM-DD, the midnight at which the window begins
   * @param {string} to YYYY-MM-DD, the midnight at which it ends
   * @param {Record<string, string>} parameters that give it in an address
   * @param {import('./api.js').Window} [before] the window that it is compared with; as long as this one and right before it where it is left out
   */
  constructor(from, to, parameters, before) {
    for (const date of [from, to]) {
      if (!isDate(date)) throw new WindowError(`“${date}” is no date. It must be an existing day, such as 2026-06-01.`);
    }
    if (to <= from) throw new WindowError('The window ends before it begins.');
    const length = (Date.parse(to) - Date.parse(from)) / DAY;
    if (length > MAX_DAYS) throw new WindowError('A window spans at most 3 660 days.');
    this.window = { from, to };
    this.parameters = parameters;
    this.before = before ?? { from: plusDays(from, -length), to: from };
  }

  /** @param {string} month YYYY-MM, this or last */
  static ofMonth(month) {
    const current = today().slice(0, 7);
    const name = month === 'this' ? current : month === 'last' ? monthAfter(current, -1) : month;
    if (!/^[1-9]\d{3}-\d\d$/.test(name) || !isDate(`${name}-01`)) {
      throw new WindowError(`“${month}” is no month. It must be this, last or an existing month, such as 2026-06.`);
    }
    // The days of a month under way that are still to come hold nothing.
    const end = name === current ? plusDays(today(), 1) : `${monthAfter(name, 1)}-01`;
    return new Days(`${name}-01`, end, { month }, { from: `${monthAfter(name, -1)}-01`, to: `${name}-01` });
  }

  /** @param {string} length a number of days or weeks with today among them: 7d, 2w */
  static ofLast(length) {
    const [, count, unit] = /^([1-9]\d{0,3})([dw])$/.exec(length) ?? [];
    if (!count) throw new WindowError(`“${length}” is no number of days. It must be whole days or weeks, such as 30d or 2w.`);
    const end = plusDays(today(), 1);
    return new Days(plusDays(end, -Number(count) * (unit === 'w' ? 7 : 1)), end, { last: length });
  }

  /**
   * @param {string} from YYYY-MM-DD
   * @param {string | null} to YYYY-MM-DD, the day after the last; null is the end of today
   */
  static ofRange(from, to) {
    return new Days(from, to ?? plusDays(today(), 1), to === null ? { from } : { from, to });
  }

  /**
   * @param {URLSearchParams} query
   * @returns {Days} what the page's address says, or this month
   */
  static of(query) {
    const given = NAMES.filter((name) => query.has(name));
    if (query.has('days')) throw new WindowError('It has days, which is no window. The last 30 days are last=30d.');
    if (query.has('tz')) throw new WindowError('It has a time zone, and the windows of this page are in UTC.');
    const twice = given.find((name) => query.getAll(name).length > 1);
    if (twice) throw new WindowError(`It has ${twice} more than once.`);
    const [month, last, from, to] = NAMES.map((name) => query.get(name));
    const kinds = [month ?? null, last ?? null, from ?? to ?? null].filter((value) => value !== null);
    if (kinds.length > 1) throw new WindowError(`It has ${given.join(' and ')}, and a window is given by a month, by last, or by from and to.`);
    if (typeof month === 'string') return Days.ofMonth(month);
    if (typeof last === 'string') return Days.ofLast(last);
    if (typeof from === 'string') return Days.ofRange(from, to ?? null);
    if (typeof to === 'string') throw new WindowError('It has to without from.');
    return Days.ofMonth('this');
  }

  /** @param {URLSearchParams} query */
  writeTo(query) {
    for (const name of NAMES) query.delete(name);
    for (const [name, value] of Object.entries(this.parameters)) query.set(name, value);
  }

  /** @returns {string} the window for people */
  get name() {
    const days = this.first === this.last ? dayWithoutWeekday(this.first) : `${dayWithoutWeekday(this.first)} to ${dayWithoutWeekday(this.last)}`;
    const unfinished = this.first <= today() && this.underWay;
    return `${this.parameters.month ? `${nameOfMonth(this.first)}: ` : ''}${days}, in UTC.${unfinished ? ' Today is not over.' : ''}`;
  }

  /** @returns {string} the window that this one is compared with, as a part of a sentence */
  get nameOfBefore() {
    if (this.parameters.month) return `in ${nameOfMonth(this.before.from)}`;
    const length = (Date.parse(this.before.to) - Date.parse(this.before.from)) / DAY;
    return length === 1 ? 'the day before' : `in the ${counted(length, 'day')} before`;
  }

  /** @returns {string} YYYY-MM-DD, the first day */
  get first() { return this.window.from; }

  /** @returns {string} YYYY-MM-DD, the last day, which belongs to the window */
  get last() { return plusDays(this.window.to, -1); }

  /** @returns {number} how many days the window has */
  get count() { return (Date.parse(this.window.to) - Date.parse(this.window.from)) / DAY; }

  /** @returns {number} how much of the window has passed, in whole seconds, at least one */
  get elapsedSeconds() {
    const start = Date.parse(this.window.from), end = Math.min(Date.parse(this.window.to), Date.now());
    return Math.max(1, Math.trunc((end - start) / 1000));
  }

  /** @returns {boolean} whether some of the window is still to come */
  get underWay() { return Date.parse(this.window.to) > Date.now(); }

  /** @param {string} timestamp */
  includes(timestamp) {
    const date = timestamp.slice(0, 10);
    return this.first <= date && date <= this.last;
  }
}

/**
 * @param {string} first YYYY-MM-DD
 * @param {string} last YYYY-MM-DD, included
 */
export function daysFrom(first, last) {
  if (!isDate(first) || !isDate(last)) throw new WindowError('Give both days.');
  if (last < first) throw new WindowError('The last day is before the first.');
  return Days.ofRange(first, plusDays(last, 1));
}

/** @param {string} date YYYY-MM-DD */
export const isToday = (date) => date === today();

/** @param {string} date */
function isDate(date) {
  const ms = /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(date) : NaN;
  return !Number.isNaN(ms) && dateOf(ms) === date;
}

/**
 * @param {string} month YYYY-MM
 * @param {number} count of months, negative for earlier ones
 */
function monthAfter(month, count) {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return dateOf(Date.UTC(year, number - 1 + count)).slice(0, 7);
}
