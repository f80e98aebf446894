/** @import { UsageSeriesBucket } from '#api' */

import { BarChart, centsOnScale } from './bars.js';
import { find, h, Panel } from './dom.js';
import { day, hours, money, shortDay } from './format.js';
import { download, encode } from './csv.js';
import { isToday } from './window.js';

/** @typedef {'cpu_seconds' | 'memory_gb_seconds' | 'disk_gb_seconds'} Resource */
/** @type {{ key: Resource, name: string, unit: string, color: string }[]} */
export const resources = [
  { key: 'cpu_seconds', name: 'CPU', unit: 'h', color: '--cpu' },
  { key: 'memory_gb_seconds', name: 'Memory', unit: 'GB-h', color: '--memory' },
  { key: 'disk_gb_seconds', name: 'Disk', unit: 'GB-h', color: '--disk' },
];

/** @param {string} date YYYY-MM-DD */
export const dayName = (date) => (isToday(date) ? `${day(date)}, not over` : day(date));

/** Cost, or the seconds of each resource, day by day. */
export class DaysPanel {
  /** @type {UsageSeriesBucket[]} */
  #days = [];
  #view = 'cost';
  #stacked = new Set(resources.map((r) => r.key));
  #fileName = '';

  /** @param {(date: string) => void} choose called with the day that the reader wants to see alone */
  constructor(choose) {
    this.panel = new Panel('#days');
    this.chart = new BarChart(find('.chart', this.panel.element), find('.reading', this.panel.element),
      (index) => choose(/** @type {UsageSeriesBucket} */ (this.#days[index]).date));
    this.legend = find('.legend', this.panel.element);
    this.details = find('details', this.panel.element);
    this.csv = /** @type {HTMLButtonElement} */ (find('.csv', this.panel.element));

    for (const button of this.panel.element.querySelectorAll('[data-view]')) {
      button.addEventListener('click', () => this.#chooseView(/** @type {HTMLElement} */ (button).dataset.view ?? 'cost'));
    }
    for (const resource of resources) {
      this.legend.append(h('button', {
        type: 'button', class: `swatch ${resource.key}`, 'aria-pressed': 'true',
        click: (/** @type {Event} */ event) => this.#toggle(resource.key, /** @type {HTMLElement} */ (event.currentTarget)),
      }, `${resource.name}, ${resource.unit}`));
    }
    this.csv.addEventListener('click', () => this.#download());
    this.details.addEventListener('toggle', () => this.#drawTable());
  }

  /**
   * @param {() => Promise<{ data: UsageSeriesBucket[] }>} read
   * @param {import('./window.js').Days} days
   * @param {string} name of the CSV file
   * @param {AbortSignal} signal
   */
  async load(read, days, name, signal) {
    this.panel.loading();
    this.csv.disabled = true;
    const { data } = await read();
    if (signal.aborted) return;
    // The API's last bucket is the UTC day on which the window ends; nothing is in it where that is at midnight.
    this.#days = data.filter((bucket) => Date.parse(bucket.date) < days.stop);
    this.#fileName = name;
    this.csv.disabled = false;
    if (this.#days.every((d) => !BigInt(d.total_cents) && resources.every((r) => !BigInt(d[r.key])))) {
      this.panel.empty('Nothing ran in this window.');
      return;
    }
    this.panel.ready();
    this.#draw();
    this.#drawTable();
  }

  /** @param {string} view */
  #chooseView(view) {
    this.#view = view;
    for (const button of this.panel.element.querySelectorAll('[data-view]')) {
      button.setAttribute('aria-pressed', String(/** @type {HTMLElement} */ (button).dataset.view === view));
    }
    this.legend.hidden = view === 'cost';
    this.#draw();
  }

  /**
   * @param {Resource} key
   * @param {HTMLElement} button
   */
  #toggle(key, button) {
    if (!this.#stacked.delete(key)) this.#stacked.add(key);
    button.setAttribute('aria-pressed', String(this.#stacked.has(key)));
    this.#draw();
  }

  #draw() {
    const days = this.#days;
    if (days.length === 0) {
      this.chart.show(null);
      return;
    }
    const cost = this.#view === 'cost';
    this.chart.show({
      label: `${cost ? 'Cost' : 'Resources'} per day, ${day(days[0]?.date ?? '')} to ${day(days.at(-1)?.date ?? '')}`,
      ticks: days.map(({ date }) => dayTick(date)),
      parts: cost ? [{ color: '--cost', values: days.map((d) => Number(d.total_cents)) }]
        : resources.filter(({ key }) => this.#stacked.has(key)).map(({ key, color }) => ({ color, values: days.map((d) => Number(d[key]) / 3600) })),
      scale: cost ? centsOnScale : (value) => `${value.toLocaleString('en')} h`,
      tip: (index) => tip(/** @type {UsageSeriesBucket} */ (days[index])),
    });
  }

  #drawTable() {
    if (!(/** @type {HTMLDetailsElement} */ (this.details).open)) return;
    find('.days-table', this.details).replaceChildren(h('table', {},
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Day (UTC)'), h('th', { scope: 'col', class: 'number' }, 'Cost'),
        ...resources.map((r) => h('th', { scope: 'col', class: 'number' }, `${r.name}, ${r.unit}`)))),
      h('tbody', {}, ...this.#days.map((d) => h('tr', {}, h('th', { scope: 'row' }, dayName(d.date)), h('td', { class: 'number' }, money(d.total_cents)),
        ...resources.map((r) => h('td', { class: 'number' }, hours(d[r.key]))))))));
  }

  #download() {
    download(this.#fileName, [encode([
      ['date', 'cpu_seconds', 'memory_gb_seconds', 'disk_gb_seconds', 'total_cents'],
      ...this.#days.map((d) => [d.date, d.cpu_seconds, d.memory_gb_seconds, d.disk_gb_seconds, d.total_cents]),
    ])]);
  }
}

/** @param {string} date YYYY-MM-DD */
export function dayTick(date) { return isToday(date) ? 'today' : shortDay(date); }

/** @param {UsageSeriesBucket} bucket */
function tip(bucket) {
  return [h('strong', {}, dayName(bucket.date)), h('span', { class: 'cost' }, money(bucket.total_cents)),
    ...resources.map((r) => h('span', { class: `swatch ${r.key}` }, `${r.name} ${hours(bucket[r.key])} ${r.unit}`))];
}
