const DAY = 86_400_000;

/** A time zone, by whose clocks days and months are counted. */
export class Zone {
  #format;

  /** @param {string} name as the database of time zones has it */
  constructor(name) {
    this.#format = new Intl.DateTimeFormat('en', {
      timeZone: name, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
    });
    const { timeZone } = this.#format.resolvedOptions();
    /** The name, also where it was given in other letters, such as utc. */
    this.name = timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name;
  }

  /**
   * @param {string} name
   * @returns {Zone | null} null where there is no such time zone
   */
  static named(name) {
    if (!/^[A-Za-z]/.test(name)) return null; // browsers also take offsets, such as +02:00, and the command line does not
    try {
      return new Zone(name);
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  }

  /** @returns {Zone} that of the reader */
  static get own() { return new Zone(new Intl.DateTimeFormat().resolvedOptions().timeZone); }

  /** @returns {string} the zone as a part of a sentence, after “in” */
  get label() { return this.name === 'UTC' ? 'UTC' : `${this.name} time`; }

  /**
   * @param {number} ms
   * @returns {number} what the clocks show at a time, to the second, in milliseconds as if they showed UTC
   */
  reading(ms) {
    const part = Object.fromEntries(this.#format.formatToParts(ms).map(({ type, value }) => [type, value]));
    return Date.parse(`${part.year?.padStart(4, '0')}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}Z`);
  }

  /** @param {number} ms */
  #offset(ms) {
    const second = Math.floor(ms / 1000) * 1000;
    return this.reading(second) - second;
  }

  /**
   * @param {number} reading of the clocks
   * @returns {number} the time at which they show it; where they are put forward over it, a time on the other side of the change
   */
  at(reading) {
    const guess = reading - this.#offset(reading);
    return reading - this.#offset(guess);
  }

  /**
   * @param {number} ms
   * @returns {string} YYYY-MM-DD
   */
  dateOf(ms) { return new Date(this.reading(ms)).toISOString().slice(0, 10); }

  /**
   * @param {string} date YYYY-MM-DD
   * @returns {number} when the day begins, as StartOfDay of the Go client has it
   */
  startOfDay(date) {
    const midnight = Date.parse(date), start = this.at(midnight);
    if (this.dateOf(start) === date && this.dateOf(start - 1000) !== date) return start;
    // The clocks are put forward over midnight, or back to it, at a whole second.
    let before = (midnight - 2 * DAY) / 1000, begun = (midnight + 2 * DAY) / 1000;
    while (begun - before > 1) {
      const middle = Math.floor((before + begun) / 2);
      if (this.dateOf(middle * 1000) < date) before = middle;
      else begun = middle;
    }
    return begun * 1000;
  }

  /**
   * @param {number | string} time in milliseconds, or as the API writes it
   * @returns {string} what the clocks show, to the second, with their distance from UTC
   */
  clock(time) {
    const ms = typeof time === 'string' ? Date.parse(time) : time, minutes = Math.round(this.#offset(ms) / 60_000);
    const text = new Date(this.reading(ms)).toISOString();
    const offset = `${minutes < 0 ? '−' : '+'}${String(Math.trunc(Math.abs(minutes) / 60)).padStart(2, '0')}:${String(Math.abs(minutes) % 60).padStart(2, '0')}`;
    return `${text.slice(0, 10)} ${text.slice(11, 19)} ${this.name === 'UTC' ? 'UTC' : offset}`;
  }
}

export const UTC = new Zone('UTC');
