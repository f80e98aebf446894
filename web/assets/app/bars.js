import { h } from './dom.js';
import { money } from './format.js';

const HEIGHT = 240;

/**
 * What a chart shows. Each bar is a time, and has the parts from the lowest to the highest.
 * @typedef {{
 *   label: string,
 *   ticks: string[],
 *   parts: { color: string, values: number[] }[],
 *   scale: (value: number) => string,
 *   tip: (index: number) => Node[],
 * }} Bars color names a property of the style sheet; tip tells about one bar
 */

/** Stacked bars that answer to the pointer and to the arrow keys. */
export class BarChart {
  /** @type {Bars | null} */
  #bars = null;
  /** @type {uPlot | null} */
  #plot = null;
  #pointed = -1; // the bar that is pointed at

  /**
   * @param {HTMLElement} box
   * @param {HTMLElement} reading where screen readers are told about a bar
   * @param {((index: number) => void) | null} choose called when the reader presses on a bar, or the enter key after reading it
   */
  constructor(box, reading, choose = null) {
    this.box = box;
    this.choose = choose;
    this.reading = reading;
    this.tooltip = h('div', { class: 'tooltip', hidden: true });
    box.append(this.tooltip);
    box.addEventListener('keydown', (event) => this.#onKey(event));
    box.addEventListener('click', () => this.#choosePointed());
    box.addEventListener('blur', () => this.#point(-1));
    new ResizeObserver(() => this.#resize()).observe(box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  /** @param {Bars | null} bars null for none */
  show(bars) {
    this.#bars = bars;
    this.#draw();
  }

  #draw() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#point(-1);
    const bars = this.#bars;
    if (!bars) return;
    const count = bars.ticks.length;
    const style = getComputedStyle(document.documentElement);
    const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const paths = /** @type {uPlot.Series.BarsPathBuilderFactory} */ (uPlot.paths.bars)({ size: [0.72, 44], radius: 0.15 });
    /** @type {uPlot.Series[]} */
    const series = [];
    /** @type {number[][]} */
    const data = [];
    let below = bars.ticks.map(() => 0);
    for (const part of bars.parts) {
      below = below.map((sum, i) => sum + (part.values[i] ?? 0));
      // Each bar stands before the higher one on which it is stacked, so what is seen of a bar is its own part.
      series.unshift({ fill: color(part.color), width: 0, paths, points: { show: false } });
      data.unshift(below);
    }
    const top = Math.max(1, ...below);
    const text = color('--muted'), line = color('--line'), font = `12px ${getComputedStyle(this.box).fontFamily}`;
    this.box.setAttribute('aria-label', `${bars.label}. Left and right arrow keys read each bar${this.choose ? ', and enter shows it alone' : ''}.`);
    this.#plot = new uPlot({
      width: this.box.clientWidth, height: HEIGHT, padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-0.5, count - 0.5] }, y: { range: [0, top * 1.05] } },
      series: [{}, ...series],
      axes: [
        {
          stroke: text, font, grid: { show: false }, ticks: { show: false }, gap: 6, size: 28,
          splits: (u) => {
            const step = Math.max(1, Math.ceil(count / Math.max(1, Math.floor(u.width / 72))));
            return bars.ticks.map((_, i) => i).filter((i) => (count - 1 - i) % step === 0);
          },
          values: (_, splits) => splits.map((i) => bars.ticks[i] ?? ''),
        },
        {
          stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, gap: 6,
          size: (_, values) => 16 + 7 * Math.max(0, ...(values ?? []).map((v) => String(v).length)),
          incrs: [1, 2, 5].flatMap((n) => Array.from({ length: 15 }, (_, power) => n * 10 ** power)).sort((a, b) => a - b),
          values: (_, splits) => splits.map(bars.scale),
        },
      ],
      hooks: { setCursor: [(u) => this.#point(u.cursor.idx ?? -1)] },
    }, /** @type {uPlot.AlignedData} */ ([bars.ticks.map((_, i) => i), ...data]), this.box);
  }

  #resize() {
    const width = this.box.clientWidth;
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /** @param {number} index the bar to tell about, -1 for none */
  #point(index) {
    this.#pointed = index;
    const bars = this.#bars, plot = this.#plot, shown = bars !== null && plot !== null && index >= 0;
    this.tooltip.hidden = !shown;
    if (!shown) return;
    this.tooltip.replaceChildren(...bars.tip(index));
    const x = plot.valToPos(index, 'x') + plot.bbox.left / devicePixelRatio;
    const width = this.tooltip.offsetWidth;
    this.tooltip.style.left = `${Math.max(0, Math.min(this.box.clientWidth - width, x - width / 2))}px`;
  }

  #choosePointed() {
    if (this.#pointed >= 0) this.choose?.(this.#pointed);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key === 'Enter') this.#choosePointed();
    const last = (this.#bars?.ticks.length ?? 0) - 1;
    const to = { ArrowLeft: this.#pointed < 0 ? last : Math.max(0, this.#pointed - 1), ArrowRight: Math.min(last, this.#pointed + 1), Home: 0, End: last }[event.key];
    if (to === undefined || !this.#plot) return;
    event.preventDefault();
    this.#plot.setCursor({ left: this.#plot.valToPos(to, 'x'), top: 10 }, false);
    this.#point(to);
    this.reading.textContent = [...this.tooltip.children].map((part) => part.textContent).join(', ');
  }
}

/** @param {number} cents */
export function centsOnScale(cents) { return money(BigInt(Math.round(cents))).replace(/\.00$/, ''); }
