/** @import { UsageSeriesBucket } from '#api' */

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

const HEIGHT = 240;

/** @param {string} date YYYY-MM-DD */
const dayName = (date) => (isToday(date) ? `${day(date)}, not over` : day(date));

/** Cost, or the seconds of each resource, day by day. */
export class DaysPanel {
  /** @type {UsageSeriesBucket[]} */
  #days = [];
  #view = 'cost';
  #stacked = new Set(resources.map((r) => r.key));
  /** @type {uPlot | null} */
  #plot = null;
  #pointed = -1; // the day that is pointed at
  #fileName = '';

  constructor() {
    this.panel = new Panel('#days');
    this.box = find('.chart', this.panel.element);
    this.tooltip = find('.tooltip', this.box);
    this.reading = find('#chart-reading');
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
    this.box.addEventListener('keydown', (event) => this.#onKey(event));
    this.box.addEventListener('blur', () => this.#showDay(-1));
    new ResizeObserver(() => this.#resize()).observe(this.box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
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
    // The API's last bucket is the day on which the window ends, at midnight, so nothing is in it.
    this.#days = data.filter((bucket) => bucket.date <= days.last);
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
    this.#plot?.destroy();
    this.#plot = null;
    this.#showDay(-1);
    const days = this.#days;
    if (days.length === 0) return;
    const style = getComputedStyle(document.documentElement);
    const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const cost = this.#view === 'cost';
    const bars = /** @type {uPlot.Series.BarsPathBuilderFactory} */ (uPlot.paths.bars)({ size: [0.72, 44], radius: 0.15 });
    /** @type {uPlot.Series[]} */
    const series = [{}];
    /** @type {number[][]} */
    const data = [days.map((_, i) => i)];
    // Each bar stands before the higher one on which it is stacked, so what is seen of a bar is its own part.
    const parts = cost ? [{ color: '--cost', values: days.map((d) => Number(d.total_cents)) }] : this.#stackedParts(days);
    for (const part of parts) {
      series.push({ fill: color(part.color), width: 0, paths: bars, points: { show: false } });
      data.push(part.values);
    }
    const top = Math.max(1, ...data.slice(1).flat());
    const text = color('--muted'), line = color('--line'), font = `12px ${getComputedStyle(this.box).fontFamily}`;
    this.box.setAttribute('aria-label', `${cost ? 'Cost' : 'Resources'} per day, ${day(days[0]?.date ?? '')} to ${day(days.at(-1)?.date ?? '')}. Left and right arrow keys read each day.`);
    this.#plot = new uPlot({
      width: this.box.clientWidth, height: HEIGHT, padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-0.5, days.length - 0.5] }, y: { range: [0, top * 1.05] } },
      series,
      axes: [
        {
          stroke: text, font, grid: { show: false }, ticks: { show: false }, gap: 6, size: 28,
          splits: (u) => {
            const step = Math.max(1, Math.ceil(days.length / Math.max(1, Math.floor(u.width / 72))));
            return days.map((_, i) => i).filter((i) => (days.length - 1 - i) % step === 0);
          },
          values: (_, splits) => splits.map((i) => (isToday(days[i]?.date ?? '') ? 'today' : shortDay(days[i]?.date ?? ''))),
        },
        {
          stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, gap: 6,
          size: (_, values) => 16 + 7 * Math.max(0, ...(values ?? []).map((v) => String(v).length)),
          incrs: [1, 2, 5].flatMap((n) => Array.from({ length: 15 }, (_, power) => n * 10 ** power)).sort((a, b) => a - b),
          values: (_, splits) => splits.map((v) => (cost ? money(BigInt(Math.round(v))).replace(/\.00$/, '') : `${v.toLocaleString('en')} h`)),
        },
      ],
      hooks: { setCursor: [(u) => this.#showDay(u.cursor.idx ?? -1)] },
    }, /** @type {uPlot.AlignedData} */ (data), this.box);
  }

  /** @param {UsageSeriesBucket[]} days */
  #stackedParts(days) {
    let below = days.map(() => 0);
    const parts = [];
    for (const r of resources.filter(({ key }) => this.#stacked.has(key))) {
      below = below.map((sum, i) => sum + Number(days[i]?.[r.key] ?? 0) / 3600);
      parts.unshift({ color: r.color, values: below });
    }
    return parts;
  }

  #resize() {
    const width = this.box.clientWidth;
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /** @param {number} index the day to tell about, -1 for none */
  #showDay(index) {
    this.#pointed = index;
    const bucket = this.#days[index], plot = this.#plot;
    this.tooltip.hidden = !bucket || !plot;
    if (!bucket || !plot) return;
    this.tooltip.replaceChildren(h('strong', {}, dayName(bucket.date)), h('span', { class: 'cost' }, money(bucket.total_cents)),
      ...resources.map((r) => h('span', { class: `swatch ${r.key}` }, `${r.name} ${hours(bucket[r.key])} ${r.unit}`)));
    const x = plot.valToPos(index, 'x') + plot.bbox.left / devicePixelRatio;
    const width = this.tooltip.offsetWidth;
    this.tooltip.style.left = `${Math.max(0, Math.min(this.box.clientWidth - width, x - width / 2))}px`;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const last = this.#days.length - 1;
    const to = { ArrowLeft: this.#pointed < 0 ? last : Math.max(0, this.#pointed - 1), ArrowRight: Math.min(last, this.#pointed + 1), Home: 0, End: last }[event.key];
    if (to === undefined || !this.#plot) return;
    event.preventDefault();
    this.#plot.setCursor({ left: this.#plot.valToPos(to, 'x'), top: 10 }, false);
    this.#showDay(to);
    this.reading.textContent = [...this.tooltip.children].map((part) => part.textContent).join(', ');
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
