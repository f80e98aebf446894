/** @import { RunwayPace, RunwayResponse } from '#api' */
/** @import { API } from './api.js' */

import { ifOffered } from './api.js';
import { find, h, Panel } from './dom.js';
import { change, counted, dayWithoutWeekday, hours, money } from './format.js';

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
    const [lasts, usage, before] = await Promise.all([
      ifOffered(api.runway(org, signal)), api.usage(org, days.window, signal), api.usage(org, days.before, signal),
    ]);
    const { balance_cents } = lasts ?? await api.balance(org, signal);
    if (signal.aborted) return;
    const balance = BigInt(balance_cents), spent = BigInt(usage.total_cents), elapsed = BigInt(days.elapsedSeconds);
    this.#tile('credit', money(balance), balance < 0n ? 'Overdrawn' : 'All credits less all debits');
    find('#tile-credit').classList.toggle('negative', balance < 0n);
    this.#tile('spent', money(spent), `CPU ${hours(usage.cpu_seconds)} h · memory ${hours(usage.memory_gb_seconds)} GB-h · disk ${hours(usage.disk_gb_seconds)} GB-h`);
    find('#tile-spent .change').textContent = `${change(before.total_cents, spent)} against ${money(before.total_cents)} ${days.nameOfBefore}`;
    this.#tile('average', money((spent * DAY) / elapsed), days.underWay ? `since ${dayWithoutWeekday(days.first)}` : `over ${counted(days.count, 'day')}`);
    this.#tile('runway', ...runway(lasts));
    this.panel.ready();
    this.tiles.hidden = false;
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
 * @param {RunwayResponse | null} lasts
 * @returns {[string, string]} how long the balance lasts at the pace of the last 30 days, and until when; also at that of the last 7
 */
function runway(lasts) {
  if (lasts === null) return ['Unknown', 'This server does not tell it'];
  const { last_30_days: month, last_7_days: week } = lasts;
  switch (month.outlook) {
    case 'used_up': return ['0 days', 'The credit is used up'];
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
