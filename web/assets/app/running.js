/** @import { LeaseRecord } from '#api' */
/** @import { API } from './api.js' */

import { titleOf } from './builds.js';
import { find, h, Panel } from './dom.js';
import { duration, money, named, number, shape, time, timeOfDay } from './format.js';
import { VirtualTable } from './table.js';

/** How old the costs become, in milliseconds, while somebody may look at them. */
const REFRESH = 30_000;

const columns = [
  { title: 'Job', class: 'name' }, { title: 'Machine', class: 'machine' }, { title: 'Started', class: 'when' },
  { title: 'Runs for', class: 'number length' }, { title: 'Not billed yet', class: 'number amount' },
];

/** The jobs that run now, with what they have cost so far. It reads them again and again while the page is visible. */
export class RunningPanel {
  /** @type {LeaseRecord[]} */
  #leases = [];
  #readAt = 0; // when the leases were read last, or were to be read
  #timer = 0;
  /** @type {API | null} */
  #api = null;
  #org = '';
  /** @type {AbortSignal | null} */
  #signal = null;

  constructor() {
    this.panel = new Panel('#running');
    this.count = find('.count', this.panel.element);
    this.foot = find('.foot', this.panel.element);
    this.table = new VirtualTable(find('.scroller', this.panel.element), columns,
      (index) => this.#cells(/** @type {LeaseRecord} */ (this.#leases[index])), () => null, () => {});
    document.addEventListener('visibilitychange', () => this.#schedule());
  }

  /**
   * @param {API} api
   * @param {string} org
   * @param {AbortSignal} signal
   */
  async load(api, org, signal) {
    this.#api = api;
    this.#org = org;
    this.#signal = signal;
    signal.addEventListener('abort', () => clearTimeout(this.#timer));
    this.count.textContent = '';
    this.panel.loading();
    await this.#read();
  }

  async #read() {
    const signal = this.#signal;
    this.#readAt = Date.now();
    try {
      const { data, next_cursor } = await /** @type {API} */ (this.#api).leases(this.#org, { state: 'running' }, signal ?? undefined);
      if (signal?.aborted) return;
      this.#show(data, next_cursor !== null);
    } finally {
      if (!signal?.aborted) this.#schedule();
    }
  }

  /** Waits until the leases have to be read again. Nothing is read while nobody can see it. */
  #schedule() {
    clearTimeout(this.#timer);
    if (document.visibilityState !== 'visible' || !this.#signal || this.#signal.aborted) return;
    this.#timer = setTimeout(() => void this.#refresh(), Math.max(0, this.#readAt + REFRESH - Date.now()));
  }

  async #refresh() {
    const signal = this.#signal;
    try {
      await this.#read();
    } catch (error) {
      if (signal?.aborted) return;
      const { title, message } = /** @type {any} */ (error);
      this.foot.replaceChildren(h('span', { class: 'bad' }, `Not refreshed at ${timeOfDay(Date.now())}: ${title ?? 'Something went wrong.'} ${message}`));
    }
  }

  /**
   * @param {LeaseRecord[]} leases
   * @param {boolean} more whether more than these are running
   */
  #show(leases, more) {
    this.#leases = leases;
    this.count.textContent = `${number(leases.length)}${more ? '+' : ''}`;
    if (leases.length === 0) {
      this.panel.empty('No job is running.');
      return;
    }
    this.panel.ready();
    this.table.redraw(leases.length);
    const total = leases.reduce((sum, lease) => sum - BigInt(lease.accrued_cents ?? 0), 0n);
    this.foot.replaceChildren(h('span', {}, h('strong', {}, `${money(total)} so far, not billed`),
      `${more ? `, for the ${number(leases.length)} that started last` : ''}. As of ${timeOfDay(this.#readAt)}; refreshed every 30 seconds.`));
  }

  /** @param {LeaseRecord} lease */
  #cells(lease) {
    const name = named(lease.job_name ?? lease.step_key ?? lease.job_id ?? 'Lease without a job'), vm = lease.vm_handle === null ? null : named(lease.vm_handle);
    const build = lease.build_id === null ? '' : titleOf(lease);
    const machine = shape([lease.cpu_count, lease.memory_gb, lease.disk_gb]);
    const length = duration(Math.max(0, Math.trunc((this.#readAt - Date.parse(lease.started_at)) / 1000)));
    return [
      h('td', { class: 'name', title: `${build} ${name}` }, h('span', { class: 'title' }, name), ' ', h('span', { class: 'term' }, build),
        h('span', { class: 'second' }, `${length} · ${machine}`)),
      h('td', { class: 'machine', title: `${vm ?? 'unknown machine'} · ${machine}` }, h('code', {}, vm ?? '—'), ` ${machine}`),
      h('td', { class: 'when' }, time(lease.started_at)),
      h('td', { class: 'number length' }, length),
      h('td', { class: 'number amount' }, lease.accrued_cents === null ? 'no price' : money(-BigInt(lease.accrued_cents))),
    ];
  }
}
