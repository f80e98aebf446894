import { counted, dayWithoutWeekday, month as nameOfMonth, named } from './format.js';
import { UTC, Zone } from './zone.js';

const DAY = 86_400_000;

/** What the API takes at most. */
const MAX_DAYS = 3660;

/** The parameters of an address that give a window, beside its time zone. */
const NAMES = ['month', 'last', 'from', 'to'];

/** @param {number} ms */
const dateOf = (ms) => new Date(ms).toISOString().slice(0, 10);

/**
 * @param {string} date YYYY-MM-DD
 * @param {number} days
 */
const plusDays = (date, days) => dateOf(Date.parse(date) + days * DAY);

/** @param {Zone} zone */
const today = (zone) => zone.dateOf(Date.now());

/** Why an address or a form gives no window, in a sentence for the reader. */
export class WindowError extends Error {
  /** @param {string} message which may hold parts of an address */
  constructor(message) { super(named(message)); }
}

/** A window of whole days in a time zone. The command line has the same windows, with the same words. */
export class Days {
  /**
   * @param {Zone} zone
   * @param {string} from YYYY-MM-DD, the day with which the window begins
   * @param {string} to YYYY-MM-DD, the day before which it ends
   * @param {Record<string, string>} words that give it in an address
   * @param {string} [before] YYYY-MM-DD, where the period begins with which it is compared; where it is left out, that has as many days
   */
  constructor(zone, from, to, words, before) {
    for (const date of [from, to]) {
      if (!isDate(date)) throw new WindowError(`“${date}” is no date. It must be an existing day, such as 2026-06-01.`);
    }
    this.zone = zone;
    this.words = words;
    this.first = from;
    /** The day before which it ends. */
    this.end = to;
    this.start = zone.startOfDay(from);
    this.stop = zone.startOfDay(to);
    if (this.stop <= this.start) throw new WindowError('The window ends before it begins.');
    if (this.stop - this.start > MAX_DAYS * DAY) throw new WindowError('A window spans at most 3 660 days.');
    this.window = windowOf(this.start, this.stop);
    this.firstBefore = before ?? plusDays(from, -this.count);
    const begin = zone.startOfDay(this.firstBefore), now = Date.now();
    // The elapsed part, carried over on the calendar: the same number of the day and the same time of day.
    const elapsed = zone.reading(now) - Date.parse(from);
    const until = this.underWay ? Math.min(this.start, Math.max(begin + 1000, zone.at(Date.parse(this.firstBefore) + elapsed))) : this.start;
    /** The window that this one is compared with: the period before, and of a window under way the same part of it. */
    this.before = windowOf(begin, until);
    this.beforeInPart = until < this.start;
  }

  /**
   * @param {string} month YYYY-MM, this or last
   * @param {Zone} zone
   */
  static ofMonth(month, zone) {
    const current = today(zone).slice(0, 7);
    const name = month === 'this' ? current : month === 'last' ? monthAfter(current, -1) : month;
    if (!/^[1-9]\d{3}-\d\d$/.test(name) || !isDate(`${name}-01`)) {
      throw new WindowError(`“${month}” is no month. It must be this, last or an existing month, such as 2026-06.`);
    }
    // The days of a month under way that are still to come hold nothing.
    const end = name === current ? plusDays(today(zone), 1) : `${monthAfter(name, 1)}-01`;
    return new Days(zone, `${name}-01`, end, { month }, `${monthAfter(name, -1)}-01`);
  }

  /**
   * @param {string} length a number of days or weeks with today among them: 7d, 2w
   * @param {Zone} zone
   */
  static ofLast(length, zone) {
    const [, count, unit] = /^([1-9]\d{0,3})([dw])$/.exec(length) ?? [];
    if (!count) throw new WindowError(`“${length}” is no number of days. It must be whole days or weeks, such as 30d or 2w.`);
    const end = plusDays(today(zone), 1);
    return new Days(zone, plusDays(end, -Number(count) * (unit === 'w' ? 7 : 1)), end, { last: length });
  }

  /**
   * @param {string} from YYYY-MM-DD
   * @param {string | null} to YYYY-MM-DD, the day after the last; null is the end of today
   * @param {Zone} zone
   */
  static ofRange(from, to, zone) {
    return new Days(zone, from, to ?? plusDays(today(zone), 1), to === null ? { from } : { from, to });
  }

  /**
   * @param {URLSearchParams} query
   * @returns {Days} what the page's address says, or this month
   */
  static of(query) {
    const given = NAMES.filter((name) => query.has(name));
    if (query.has('days')) throw new WindowError('It has days, which is no window. The last 30 days are last=30d.');
    const twice = ['tz', ...given].find((name) => query.getAll(name).length > 1);
    if (twice) throw new WindowError(`It has ${twice} more than once.`);
    const zone = zoneOf(query);
    const [month, last, from, to] = NAMES.map((name) => query.get(name));
    const kinds = [month ?? null, last ?? null, from ?? to ?? null].filter((value) => value !== null);
    if (kinds.length > 1) throw new WindowError(`It has ${given.join(' and ')}, and a window is given by a month, by last, or by from and to.`);
    if (typeof month === 'string') return Days.ofMonth(month, zone);
    if (typeof last === 'string') return Days.ofLast(last, zone);
    if (typeof from === 'string') return Days.ofRange(from, to ?? null, zone);
    if (typeof to === 'string') throw new WindowError('It has to without from.');
    return Days.ofMonth('this', zone);
  }

  /** @param {URLSearchParams} query */
  writeTo(query) {
    for (const name of ['tz', ...NAMES]) query.delete(name);
    for (const [name, value] of Object.entries(this.words)) query.set(name, value);
    if (this.zone.name !== UTC.name) query.set('tz', this.zone.name);
  }

  /** @returns {string} the first and the last day, for people */
  get period() {
    return this.first === this.last ? dayWithoutWeekday(this.first) : `${dayWithoutWeekday(this.first)} to ${dayWithoutWeekday(this.last)}`;
  }

  /** @returns {string} the window for people */
  get name() {
    const note = this.toCome ? ' It has not begun.' : this.underWay ? ' Today is not over.' : '';
    return `${this.words.month ? `${nameOfMonth(this.first)}: ` : ''}${this.period}, in ${this.zone.label}.${note}`;
  }

  /** @returns {string} the window that this one is compared with, as a part of a sentence */
  get nameOfBefore() {
    if (this.words.month) return `in ${this.beforeInPart ? 'the same part of ' : ''}${nameOfMonth(this.firstBefore)}`;
    const days = this.count === 1 ? 'the day before' : `the ${counted(this.count, 'day')} before`;
    if (this.beforeInPart) return `in the same part of ${days}`;
    return this.count === 1 ? days : `in ${days}`;
  }

  /** @returns {string} YYYY-MM-DD, the last day, which belongs to the window */
  get last() { return plusDays(this.end, -1); }

  /** @returns {number} how many days the window has */
  get count() { return (Date.parse(this.end) - Date.parse(this.first)) / DAY; }

  /** @returns {number} how much of the window has passed, in whole seconds, at least one; a whole day is 24 hours, also where the clocks change */
  get elapsedSeconds() {
    return this.underWay ? Math.max(1, Math.trunc((Date.now() - this.start) / 1000)) : this.count * 86_400;
  }

  /** @returns {boolean} whether it has begun, and some of it is still to come */
  get underWay() { return this.start <= Date.now() && Date.now() < this.stop; }

  /** @returns {boolean} whether it has not begun */
  get toCome() { return Date.now() < this.start; }

  /** @param {string} timestamp */
  includes(timestamp) {
    const ms = Date.parse(timestamp);
    return this.start <= ms && ms < this.stop;
  }
}

/**
 * @param {string} first YYYY-MM-DD
 * @param {string} last YYYY-MM-DD, included
 * @param {Zone} zone
 */
export function daysFrom(first, last, zone) {
  if (!isDate(first) || !isDate(last)) throw new WindowError('Give both days.');
  if (last < first) throw new WindowError('The last day is before the first.');
  return Days.ofRange(first, plusDays(last, 1), zone);
}

/**
 * @param {URLSearchParams} query
 * @returns {Zone} that of the address, or UTC
 */
export function zoneOf(query) {
  const name = query.get('tz');
  if (name === null) return UTC;
  const zone = Zone.named(name);
  if (!zone) throw new WindowError(`“${name}” is no time zone. It must be one such as Europe/Berlin, or UTC.`);
  return zone;
}

/** @param {string} date YYYY-MM-DD, a day in UTC */
export const isToday = (date) => date === today(UTC);

/**
 * @param {number} start
 * @param {number} stop
 * @returns {import('./api.js').Window}
 */
const windowOf = (start, stop) => ({ from: new Date(start).toISOString(), to: new Date(stop).toISOString() });

/** @param {string} date */
function isDate(date) {
  const ms = /^[1-9]\d{3}-\d\d-\d\d$/.test(date) ? Date.parse(date) : NaN;
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
