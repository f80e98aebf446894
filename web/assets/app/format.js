/** @typedef {number | bigint} Integer exact, whatever its size */

const integerFormat = new Intl.NumberFormat('en');

/**
 * @param {Integer} n
 * @returns {string} with thousands apart
 */
export function number(n) { return integerFormat.format(n); }

/**
 * @param {Integer} cents
 * @returns {string} dollars
 */
export function money(cents) {
  const value = BigInt(cents);
  const magnitude = value < 0n ? -value : value;
  return `${value < 0n ? '−' : ''}$${integerFormat.format(magnitude / 100n)}.${String(magnitude % 100n).padStart(2, '0')}`;
}

/**
 * @param {Integer} cents
 * @returns {string} dollars, with a plus sign where they are credit
 */
export function signed(cents) { return BigInt(cents) > 0n ? `+${money(cents)}` : money(cents); }

/**
 * @param {Integer} before cents
 * @param {Integer} after cents
 * @returns {string} the difference in dollars, and in percent of what was before, to the nearest tenth; of zero there is no percentage
 */
export function change(before, after) {
  const from = BigInt(before), difference = BigInt(after) - from;
  if (difference === 0n) return 'No change';
  const sign = difference > 0n ? '+' : '−', magnitude = difference < 0n ? -difference : difference;
  const amount = `${sign}${money(magnitude)}`;
  if (from <= 0n) return amount;
  const tenths = (magnitude * 2000n + from) / (2n * from);
  return `${amount} (${sign}${integerFormat.format(tenths / 10n)}.${tenths % 10n}%)`;
}

/**
 * @param {Integer} part not negative
 * @param {Integer} whole
 * @returns {string} the part in percent, to the nearest tenth
 */
export function share(part, whole) {
  if (BigInt(whole) === 0n) return '—';
  const tenths = (BigInt(part) * 2000n + BigInt(whole)) / (2n * BigInt(whole));
  return `${tenths / 10n}.${tenths % 10n}%`;
}

/**
 * @param {Integer} seconds unit-seconds of a resource
 * @returns {string} hours, with one decimal below a hundred
 */
export function hours(seconds) {
  const tenths = (BigInt(seconds) + 180n) / 360n;
  return tenths < 1000n ? `${tenths / 10n}.${tenths % 10n}` : integerFormat.format((tenths + 5n) / 10n);
}

/** @param {[cpus: Integer | string, memoryGB: Integer | string, diskGB: Integer | string]} counts of a machine */
export function shape([cpus, memory, disk]) { return `${cpus} CPU, ${memory} GB, ${disk} GB disk`; }

/** @param {number} seconds */
export function duration(seconds) {
  const s = seconds % 60, m = Math.trunc(seconds / 60) % 60, h = Math.trunc(seconds / 3600);
  if (h > 0) return `${integerFormat.format(h)}h ${String(m).padStart(2, '0')}m`;
  if (m > 0) return `${m}m ${String(s).padStart(2, '0')}s`;
  return `${s}s`;
}

/**
 * @param {number} count
 * @param {string} singular
 * @param {string} [plural]
 */
export function counted(count, singular, plural = `${singular}s`) { return `${number(count)} ${count === 1 ? singular : plural}`; }

const utcDay = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
const utcLong = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
const utcMonth = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' });
const utcShortMonth = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric', timeZone: 'UTC' });
const utcShort = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

/**
 * @param {string} timestamp as the API writes it
 * @returns {string} the same for people, in UTC and to the second
 */
export function inUTC(timestamp) { return `${timestamp.slice(0, 10)} ${timestamp.slice(11, 19)} UTC`; }

/** @param {string | undefined} timeZone */
const formsIn = (timeZone) => ({
  full: new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZone }),
  short: new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', timeZone }),
  clock: new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone }),
});

let forms = formsIn(undefined);

/** @param {string | undefined} zone of all times that are shown from now on, undefined for that of the reader */
export function showTimesIn(zone) { forms = formsIn(zone); }

/** @param {number} ms */
export function timeOfDay(ms) { return forms.clock.format(ms); }

/**
 * @param {string} timestamp
 * @param {'full' | 'short'} [form] short is without the year
 * @returns {HTMLTimeElement} with UTC on hover
 */
export function time(timestamp, form = 'full') {
  const element = document.createElement('time');
  element.dateTime = timestamp;
  element.title = inUTC(timestamp);
  element.textContent = forms[form].format(new Date(timestamp));
  return element;
}

/** @param {string} date YYYY-MM-DD */
export function day(date) { return utcDay.format(new Date(date)); }

/** @param {string} date YYYY-MM-DD */
export function dayWithoutWeekday(date) { return utcLong.format(new Date(date)); }

/** @param {string} date YYYY-MM-DD, or YYYY-MM */
export function month(date) { return utcMonth.format(new Date(date)); }

/** @param {string} date YYYY-MM-DD */
export function monthTick(date) { return utcShortMonth.format(new Date(date)); }

/** @param {string} date YYYY-MM-DD */
export function shortDay(date) { return utcShort.format(new Date(date)); }

// Characters that set the direction of all text after them.
const directions = /[\u202A-\u202E\u2066-\u2069]/g;
// Letters and marks that are written from right to left.
const rightToLeft = /[\u0590-\u08FF\u200F\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u;

/**
 * A text of other people, such as a name, which leaves the text around it in its order. Joiners stay, so that Persian words and emoji are whole.
 * @param {string} text
 * @returns {string} the text as it is shown
 */
export function named(text) {
  const visible = text.replace(directions, '\uFFFD');
  return rightToLeft.test(visible) ? `\u2068${visible}\u2069` : visible; // between the characters that isolate a text
}

/** @type {Record<import('#api').TransactionSource, string>} */
export const sources = {
  stripe_topup: 'Top-up', coupon_redemption: 'Coupon', admin_grant: 'Grant', refund: 'Refund', vm_lease_debit: 'VM lease',
};
