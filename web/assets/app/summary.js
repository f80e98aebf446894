/** @import { RunwayPace, RunwayResponse } from '#api' */
/** @import { API } from './api.js' */

import { APIError } from './api.js';
import { find, h, Panel } from './dom.js';
import { counted, dayWithoutWeekday, hours, money, time } from './format.js';

const DAY = 86_400n;

/** What is left, what was spent, and how long it lasts. */
export class SummaryPanel {
  constructor() {
    this.panel = new Panel('#summary');
    this.tiles = find('.tiles', this.panel.element);
  }

  /**
   * @param {API} api
   * @param {string} org
   * @param {import('./window.js').Days} days
   * @param {AbortSignal} signal
   */
  async load(api, org, days, signal) {
    this.tiles.hidden = true;
    this.panel.loading();
    const [{ balance_cents }, usage, lasts] = await Promise.all([
      api.balance(org, signal), api.usage(org, days.window, signal), runwayIfOffered(api, org, signal),
    ]);
    if (signal.aborted) return;
    const balance = BigInt(balance_cents), spent = BigInt(usage.total_cents), elapsed = BigInt(days.elapsedSeconds);
    this.#tile('credit', money(balance), balance < 0n ? 'Overdrawn' : 'All credits less all debits');
    find('#tile-credit').classList.toggle('negative', balance < 0n);
    this.#tile('spent', money(spent), `CPU ${hours(usage.cpu_seconds)} h · memory ${hours(usage.memory_gb_seconds)} GB-h · disk ${hours(usage.disk_gb_seconds)} GB-h`);
    this.#tile('average', money((spent * DAY) / elapsed), days.underWay ? `since ${dayWithoutWeekday(days.first)}` : `over ${counted(days.elapsedSeconds / 86_400, 'day')}`);
    this.#tile('runway', ...runway(lasts));
    this.panel.ready();
    this.tiles.hidden = false;

    if (balance <= 0n) {
      const at = await reachedZero(api, org, signal);
      if (at && !signal.aborted) find('#tile-credit .hint').replaceChildren('Reached zero on ', time(at, 'day'));
    }
  }

  /**
   * @param {string} name
   * @param {string} figure
   * @param {string | Node} hint
   */
  #tile(name, figure, hint) {
    find(`#tile-${name} .figure`).textContent = figure;
    find(`#tile-${name} .hint`).replaceChildren(h('span', {}, hint));
  }
}

/**
 * @param {API} api
 * @param {string} org
 * @param {AbortSignal} signal
 * @returns {Promise<RunwayResponse | null>} null where the server does not have this call
 */
async function runwayIfOffered(api, org, signal) {
  try {
    return await api.runway(org, signal);
  } catch (error) {
    if (error instanceof APIError && error.code === 'route_not_found') return null;
    throw error;
  }
}

/**
 * @param {RunwayResponse | null} lasts
 * @returns {[string, string]} how long the balance lasts at the pace of the last 30 days, and until when; also at that of the last 7
 */
function runway(lasts) {
  if (lasts === null) return ['Unknown', 'This server does not tell it'];
  const { last_30_days: month, last_7_days: week } = lasts;
  switch (month.outlook) {
    case 'used_up': return ['0 days', 'No credit is left'];
    case 'no_spend': return ['No end', 'Nothing was spent in the last 30 whole days (UTC)'];
  }
  const recent = week.outlook === 'no_spend' ? 'nothing was spent in the last 7' : `${until(week)} at that of the last 7`;
  return [daysLeft(month), `${until(month)} at the pace of the last 30 whole days (UTC), ${recent}`];
}

/** @param {RunwayPace} pace */
function daysLeft({ days_left }) {
  const days = BigInt(days_left ?? 0);
  return days > 3650n ? 'Over 10 years' : counted(Number(days), 'day');
}

/** @param {RunwayPace} pace */
function until({ zero_on }) {
  return zero_on === null ? 'beyond the year 9999' : `until ${dayWithoutWeekday(zero_on)}`;
}

/**
 * Walks back from the balance to the entry that used up the last credit.
 * @param {API} api
 * @param {string} org
 * @param {AbortSignal} signal
 * @returns {Promise<string | null>} its time; null where there was never a credit
 */
async function reachedZero(api, org, signal) {
  const newest = async () => (await api.transactions(org, { limit: 1 }, signal)).data[0]?.id;
  // The balance must belong to the head from which the walk starts, so both are read again until the head stays the same.
  let head = await newest(), balance = 0n;
  for (;;) {
    balance = BigInt((await api.balance(org, signal)).balance_cents);
    const newHead = await newest();
    if (newHead === head) break;
    head = newHead;
  }
  let reachedHead = false;
  for await (const page of api.ledger(org, signal)) {
    for (const entry of page) {
      reachedHead ||= entry.id === head;
      if (!reachedHead) continue;
      const before = balance - BigInt(entry.amount_cents);
      if (balance <= 0n && before > 0n) return entry.created_at;
      balance = before;
    }
  }
  return null;
}
