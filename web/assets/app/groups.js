/** @import { UsageByResponse, UsageGroup } from '#api' */
/** @import { API } from './api.js' */

import { APIError } from './api.js';
import { BarChart, centsOnScale } from './bars.js';
import { dayName, dayTick, resources } from './chart.js';
import { download, encode } from './csv.js';
import { find, h, Panel } from './dom.js';
import { hours, money, month, monthTick, named, number, shape, share } from './format.js';

/** How many groups have a part of their own in the chart, and a color. */
const CHARTED = 5;

/** How many days a chart has a bar for each of; a longer one has a bar for each month. */
const MAX_DAYS = 92;

/** @typedef {{ group: UsageGroup, name: string, color: string, last: boolean }} Row last is true for the sum of the groups that are not listed */

/** @type {{ title: string, class: string, text: (row: Row, total: bigint) => string, value: (row: Row) => string | bigint }[]} */
const columns = [
  { title: 'Name', class: 'name', text: ({ name }) => name, value: ({ name }) => name.toLowerCase() },
  { title: 'Cost', class: 'number', text: ({ group }) => money(group.total_cents), value: ({ group }) => BigInt(group.total_cents) },
  { title: 'Share', class: 'number', text: ({ group }, total) => share(group.total_cents, total), value: ({ group }) => BigInt(group.total_cents) },
  { title: 'Leases', class: 'number wide-only', text: ({ group }) => number(group.lease_count), value: ({ group }) => BigInt(group.lease_count) },
  ...resources.map((r) => ({
    title: `${r.name}, ${r.unit}`, class: 'number wide-only',
    text: (/** @type {Row} */ { group }) => hours(group[r.key]), value: (/** @type {Row} */ { group }) => BigInt(group[r.key]),
  })),
];

const COST = 1;

/** The usage of the window by pipeline, job, shape, author or label. */
export class GroupsPanel {
  /** @type {UsageByResponse | null} */
  #answer = null;
  /** @type {Row[]} */
  #rows = [];
  #sorted = COST;
  #descending = true;
  #by = 'pipeline';
  #fileName = '';

  /**
   * @param {(by: string) => void} choose called with what the reader wants to group by
   * @param {(text: string | null) => void} searched called with what the reader looks for, null for nothing
   */
  constructor(choose, searched) {
    this.panel = new Panel('#groups');
    this.chart = new BarChart(find('.chart', this.panel.element), find('.reading', this.panel.element));
    this.legend = find('.legend', this.panel.element);
    this.table = find('.scroller', this.panel.element);
    this.foot = find('.foot', this.panel.element);
    this.search = /** @type {HTMLInputElement} */ (find('#groups-search'));
    this.form = find('#label-form');
    this.key = /** @type {HTMLInputElement} */ (find('#label-key'));
    this.csv = /** @type {HTMLButtonElement} */ (find('.csv', this.panel.element));
    for (const button of this.panel.element.querySelectorAll('[data-by]')) {
      button.addEventListener('click', () => choose(/** @type {HTMLElement} */ (button).dataset.by ?? ''));
    }
    find('#by-label').addEventListener('click', () => {
      this.form.hidden = false;
      find('#by-label').setAttribute('aria-expanded', 'true');
      this.key.focus();
    });
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      choose(`label.${this.key.value.trim()}`);
    });
    this.search.addEventListener('input', () => {
      searched(this.search.value || null);
      this.#drawTable();
    });
    this.csv.addEventListener('click', () => this.#download());
  }

  /**
   * @param {API} api
   * @param {string} org
   * @param {import('./window.js').Days} days
   * @param {{ by: string, search: string, name: string }} choice what to group by, what to look for, and the name of the CSV file
   * @param {AbortSignal} signal
   */
  async load(api, org, days, { by, search, name }, signal) {
    this.#by = by;
    this.#fileName = name;
    this.#showChoice();
    this.search.value = search;
    this.csv.disabled = true;
    this.panel.loading();
    const interval = days.count > MAX_DAYS ? 'month' : 'day';
    let answer;
    try {
      answer = await api.usageBy(org, { ...days.window, by, interval, limit: 100 }, signal);
    } catch (error) {
      if (signal.aborted || this.#by !== by || !(error instanceof APIError && error.code === 'usage_group_invalid')) throw error;
      this.panel.refused(`Usage has no groups by “${named(by)}”.`,
        'It is grouped by pipeline, job, shape, author, or a label such as label.team. The key of a label has up to 63 letters, digits and . _ / -, with a letter or digit first. Choose a group above.');
      return;
    }
    if (signal.aborted || this.#by !== by) return; // something else was asked for meanwhile
    this.#answer = answer;
    this.csv.disabled = false;
    this.#rows = answer.data.map((group, i) => ({ group, name: this.#nameOf(group), color: i < CHARTED ? `--group-${i + 1}` : '--group-rest', last: false }));
    const { other } = answer;
    if (other) this.#rows.push({ group: other, name: 'All others', color: '--group-rest', last: true });
    if (this.#rows.length === 0) {
      this.panel.empty('Nothing ran in this window.');
      return;
    }
    if (by.startsWith('label.') && !other && answer.data.every(({ value }) => value === null)) {
      this.panel.empty(`No finished lease of this window has the label ${named(by.slice('label.'.length))}.`);
      return;
    }
    this.panel.ready();
    this.#drawChart(interval);
    this.#drawTable();
  }

  #showChoice() {
    const label = this.#by.startsWith('label.');
    for (const button of this.panel.element.querySelectorAll('[data-by]')) {
      button.setAttribute('aria-pressed', String(/** @type {HTMLElement} */ (button).dataset.by === this.#by));
    }
    const button = find('#by-label');
    button.setAttribute('aria-pressed', String(label));
    button.setAttribute('aria-expanded', String(label));
    this.form.hidden = !label;
    if (label) this.key.value = this.#by.slice('label.'.length);
  }

  /** @param {UsageGroup} group */
  #nameOf({ value, name }) {
    if (value !== null && this.#by === 'shape') return shape(/** @type {[string, string, string]} */ (value.split('-')));
    if (value !== null) return named(name ?? value);
    return this.#by.startsWith('label.') ? `No label ${this.#by.slice('label.'.length)}` : `No ${this.#by}`;
  }

  /** @param {'day' | 'month'} interval */
  #drawChart(interval) {
    const dates = this.#rows[0]?.group.series.map(({ date }) => date) ?? [];
    /** @param {Row[]} rows */
    const sums = (rows) => dates.map((_, i) => rows.reduce((sum, { group }) => sum + BigInt(group.series[i]?.total_cents ?? 0), 0n));
    const parts = this.#rows.slice(0, CHARTED).map((row) => ({ name: row.name, color: row.color, cents: sums([row]) }));
    const rest = this.#rows.slice(CHARTED);
    if (rest.length > 0) parts.push({ name: 'Others', color: '--group-rest', cents: sums(rest) });
    const daily = interval === 'day';
    this.legend.replaceChildren(...parts.map(({ name, color }) => h('li', { class: `swatch ${color.slice(2)}` }, name)));
    this.chart.show({
      label: `Cost per ${interval} by ${this.#by}`,
      ticks: dates.map(daily ? dayTick : monthTick),
      parts: parts.map(({ color, cents }) => ({ color, values: cents.map(Number) })),
      scale: centsOnScale,
      tip: (index) => [
        h('strong', {}, daily ? dayName(dates[index] ?? '') : month(dates[index] ?? '')),
        h('span', { class: 'cost' }, money(parts.reduce((sum, { cents }) => sum + (cents[index] ?? 0n), 0n))),
        ...parts.filter(({ cents }) => cents[index]).map(({ name, color, cents }) => h('span', { class: `swatch ${color.slice(2)}` }, `${name} ${money(cents[index] ?? 0n)}`)),
      ],
    });
  }

  #drawTable() {
    const words = this.search.value.toLowerCase();
    const value = /** @type {typeof columns[number]} */ (columns[this.#sorted]).value;
    const total = this.#rows.reduce((sum, { group }) => sum + BigInt(group.total_cents), 0n);
    const found = this.#rows.filter(({ name, group }) => `${name} ${group.value ?? ''}`.toLowerCase().includes(words)).sort((a, b) => {
      if (a.last !== b.last) return a.last ? 1 : -1;
      const x = value(a), y = value(b);
      return (x < y ? -1 : x > y ? 1 : 0) * (this.#descending ? -1 : 1);
    });
    this.table.replaceChildren(h('table', {},
      h('thead', {}, h('tr', {}, ...columns.map((column, i) => h('th',
        { scope: 'col', class: column.class, 'aria-sort': i !== this.#sorted ? null : this.#descending ? 'descending' : 'ascending' },
        h('button', { type: 'button', click: () => this.#sort(i) }, column.title))))),
      h('tbody', {}, ...found.map((row) => h('tr', {}, ...columns.map((column, i) => h(i === 0 ? 'th' : 'td',
        { class: i === 0 ? `name swatch ${row.color.slice(2)}` : column.class, scope: i === 0 ? 'row' : null, title: i === 0 ? row.name : null },
        column.text(row, total))))))));
    const count = this.#answer?.group_count ?? 0, listed = this.#answer?.data.length ?? 0;
    const shown = words ? `${number(found.length)} of ${number(this.#rows.length)} have this text. ` : '';
    this.foot.textContent = shown + (count > listed ? `The ${number(listed)} that cost most of ${number(count)} are listed.` : '');
  }

  /** @param {number} column */
  #sort(column) {
    this.#descending = column === this.#sorted ? !this.#descending : column !== 0;
    this.#sorted = column;
    this.#drawTable();
    // The button that was pressed is another element now.
    this.table.querySelectorAll('button')[column]?.focus({ preventScroll: true });
  }

  /** Writes all groups, in the columns of the command line. */
  #download() {
    download(this.#fileName, [encode([
      ['kind', 'value', 'name', 'date', 'lease_count', 'cpu_seconds', 'memory_gb_seconds', 'disk_gb_seconds', 'total_cents'],
      ...this.#rows.map(({ group: g, last }) => [last ? 'other' : 'group', g.value, g.name, null, g.lease_count, g.cpu_seconds, g.memory_gb_seconds, g.disk_gb_seconds, g.total_cents]),
    ])]);
  }
}
