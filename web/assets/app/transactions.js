/** @import { LeaseRecord, Transaction, TransactionDetail } from '#api' */
/** @import { API } from './api.js' */

import { find, h, Panel } from './dom.js';
import { counted, duration, money, number, sources, time } from './format.js';
import { VirtualTable } from './table.js';
import { download, encode } from './csv.js';

const columns = [
  { title: 'Time', class: 'when' }, { title: 'Source', class: 'source' }, { title: 'Description', class: 'name' }, { title: 'Amount', class: 'number amount' },
];

/** How many further entries are shown for each request of the reader. */
const STEP = 50;

/** The ledger, newest entry first. It reads older pages as the reader scrolls. */
export class TransactionsPanel {
  /** @type {Transaction[]} */
  #entries = [];
  /** @type {Transaction[]} */
  #shown = [];
  /** @type {AsyncGenerator<Transaction[]> | null} */
  #pages = null;
  #complete = false;
  #reading = false;
  #stopped = false;
  #target = STEP;
  /** @type {unknown} */
  #error = null;
  /** @type {API | null} */
  #api = null;
  #org = '';
  /** @type {AbortSignal | undefined} */
  #signal;

  /** @param {(lease: LeaseRecord) => void} goTo called with the lease of a debit */
  constructor(goTo) {
    this.goTo = goTo;
    this.panel = new Panel('#transactions');
    this.count = find('.count', this.panel.element);
    this.detail = find('.detail', this.panel.element);
    this.foot = find('.foot', this.panel.element);
    this.source = /** @type {HTMLSelectElement} */ (find('#source'));
    this.csv = /** @type {HTMLButtonElement} */ (find('.csv', this.panel.element));
    this.table = new VirtualTable(find('.scroller', this.panel.element), columns,
      (index) => this.#cells(/** @type {Transaction} */ (this.#shown[index])), () => null, () => this.#readMore());
    this.source.addEventListener('change', () => this.#filter());
    this.csv.addEventListener('click', () => this.#download());
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
    this.#entries = [];
    this.#pages = api.ledger(org, signal);
    this.#complete = false;
    this.#error = null;
    this.#reading = false;
    this.csv.disabled = true;
    this.detail.replaceChildren();
    this.panel.loading();
    this.#reset();
    await this.#readPage();
    this.csv.disabled = false;
    if (this.#entries.length === 0) {
      this.panel.empty('The ledger has no entry yet.');
      return;
    }
    this.panel.ready();
    this.table.redraw(this.#shown.length);
    await this.#readUntilTarget();
  }

  /** @param {Transaction} entry */
  #matches(entry) {
    const { value } = this.source;
    return value === '' || (value === 'credits' ? entry.source !== 'vm_lease_debit' : entry.source === value);
  }

  #reset() {
    this.#shown = this.#entries.filter((entry) => this.#matches(entry));
    this.#target = STEP;
    this.#stopped = false;
    this.table.scroller.scrollTop = 0;
    this.table.redraw(this.#shown.length);
    this.#showProgress();
  }

  #filter() {
    this.#reset();
    void this.#readUntilTarget();
  }

  /** Reads one more page of the ledger. */
  async #readPage() {
    const pages = this.#pages;
    const { done, value } = /** @type {IteratorResult<Transaction[], void>} */ (await pages?.next());
    if (pages !== this.#pages) return;
    if (done || !value) {
      this.#complete = true;
      return;
    }
    for (const entry of value) {
      this.#entries.push(entry);
      if (this.#matches(entry)) this.#shown.push(entry);
    }
  }

  #readMore() {
    if (this.#reading || this.#stopped || this.#error || this.#target > this.#shown.length || this.#entries.length === 0) return;
    this.#target = this.#shown.length + STEP;
    void this.#readUntilTarget();
  }

  /** Reads pages until the target number of entries is shown. A top-up may be older than thousands of debits. */
  async #readUntilTarget() {
    if (this.#reading) return;
    this.#reading = true;
    const pages = this.#pages;
    try {
      while (pages === this.#pages && !this.#complete && !this.#stopped && this.#shown.length < this.#target) {
        this.#showProgress();
        await this.#readPage();
        this.table.grow(this.#shown.length);
      }
    } catch (error) {
      if (pages === this.#pages && !this.#signal?.aborted) this.#error = error;
    }
    if (pages !== this.#pages) return;
    this.#reading = false;
    this.#showProgress();
  }

  #showProgress() {
    const entriesRead = counted(this.#entries.length, 'entry', 'entries');
    this.count.textContent = this.#entries.length === 0 ? '' : `${number(this.#shown.length)}${this.#complete ? '' : '+'}`;
    const oldest = this.#entries.at(-1);
    const progress = oldest ? h('span', {}, `Looked through ${entriesRead}, back to `, time(oldest.created_at, 'day'), '. ') : null;
    /** @type {(Node | string)[]} */
    let parts = [];
    const continueReading = () => {
      this.#stopped = false;
      if (this.#error) this.#resume();
      this.#target = this.#shown.length + STEP;
      void this.#readUntilTarget();
    };
    if (this.#error) {
      const error = /** @type {any} */ (this.#error);
      parts = [h('span', { class: 'bad', role: 'alert' }, `${error.title ?? 'Something went wrong.'} ${error.message} ${error.requestID ? `Request ${error.requestID}. ` : ''}`),
        h('button', { type: 'button', click: continueReading }, 'Try again')];
    } else if (this.#complete) {
      parts = [this.#shown.length === 0 && this.#entries.length > 0 ? `None of the ${entriesRead} has this source.` : 'This is the beginning of the ledger.'];
    } else if (this.#reading && !this.#stopped) {
      parts = [progress ?? '', h('button', { type: 'button', click: () => { this.#stopped = true; } }, 'Stop')];
    } else {
      parts = [progress ?? '', h('button', { type: 'button', click: continueReading }, 'Look further back')];
    }
    this.foot.replaceChildren(...parts);
  }

  /** Replaces the generator after a failure. The new one leaves out the entries that were already read. */
  #resume() {
    this.#error = null;
    const api = /** @type {API} */ (this.#api), known = new Set(this.#entries.map((e) => e.id)), org = this.#org, signal = this.#signal;
    this.#pages = (async function* missing() {
      for await (const page of api.ledger(org, signal)) yield page.filter((entry) => !known.has(entry.id));
    })();
  }

  /** @param {Transaction} entry */
  #cells(entry) {
    const credit = BigInt(entry.amount_cents) > 0n;
    const amount = credit ? `+${money(entry.amount_cents)}` : money(entry.amount_cents);
    const source = sources[entry.source] ?? entry.source;
    return [
      h('td', { class: 'when' }, time(entry.created_at)),
      h('td', { class: 'source' }, h('span', { class: `badge ${credit ? 'credit' : ''}` }, source)),
      h('td', { class: 'name', title: entry.description ?? '' },
        entry.source === 'vm_lease_debit'
          ? h('button', { type: 'button', class: 'link title', click: () => void this.#explain(entry) }, entry.description ?? 'Debit without a description')
          : h('span', { class: 'title' }, entry.description ?? '—'),
        h('span', { class: 'second' }, `${source} · `, time(entry.created_at, 'short'))),
      h('td', { class: `number amount ${credit ? 'credit' : ''} ${amount.length > 11 ? 'long' : ''}`, title: amount }, amount),
    ];
  }

  /**
   * Shows where a debit comes from, and leads to its lease.
   * @param {Transaction} entry
   */
  async #explain(entry) {
    const api = /** @type {API} */ (this.#api), signal = this.#signal;
    try {
      const detail = await api.transaction(this.#org, entry.id, signal);
      if (signal?.aborted) return;
      this.detail.replaceChildren(...explanation(detail));
      if (detail.lease) this.goTo(detail.lease);
    } catch (error) {
      if (signal?.aborted) return;
      const { title, message, requestID } = /** @type {any} */ (error);
      this.detail.replaceChildren(h('p', { class: 'bad', role: 'alert' },
        `${title ?? 'Something went wrong.'} ${message} ${requestID ? `Request ${requestID}.` : ''}`));
    }
  }

  /** Writes all entries that match, including those that were not read yet. */
  async #download() {
    const api = /** @type {API} */ (this.#api);
    this.csv.disabled = true;
    const label = this.csv.textContent;
    try {
      const parts = [encode([['id', 'amount_cents', 'source', 'description', 'created_at']])];
      let read = 0;
      for await (const page of api.ledger(this.#org, this.#signal)) {
        read += page.length;
        this.csv.textContent = number(read);
        parts.push(encode(page.filter((e) => this.#matches(e)).map((e) => [e.id, e.amount_cents, e.source, e.description, e.created_at])));
      }
      download(`${this.#org}-transactions.csv`, parts);
    } catch (error) {
      this.#error = error;
      this.#showProgress();
    } finally {
      this.csv.textContent = label;
      this.csv.disabled = false;
    }
  }
}

/**
 * @param {TransactionDetail} detail
 * @returns {HTMLElement[]} the balance after the entry, and the arithmetic of its cost
 */
function explanation(detail) {
  const parts = [h('p', {}, `${money(detail.amount_cents)}, `, time(detail.created_at), `. The balance after it is ${money(detail.balance_after_cents)}.`)];
  const { cost, lease } = detail;
  if (!lease) parts.push(h('p', {}, 'This debit names no lease: it is history of another system.'));
  else if (!cost) parts.push(h('p', {}, 'The prices of the server do not give this amount: the lease was billed at others.'));
  else {
    /** @type {[string, typeof cost.cpu][]} */
    const resources = [['CPUs', cost.cpu], ['GB of memory', cost.memory_gb], ['GB of disk', cost.disk_gb]];
    const rows = resources.map(([name, resource]) => h('tr', {},
      h('th', { scope: 'row' }, `${number(resource.count)} ${name}`), h('td', { class: 'number' }, number(resource.microcents_per_second)),
      h('td', { class: 'number' }, number(cost.duration_seconds)), h('td', { class: 'number' }, number(resource.microcents))));
    parts.push(h('table', { class: 'cost' },
      h('caption', {}, `The cost of ${duration(cost.duration_seconds)}, in millionths of a cent`),
      h('thead', {}, h('tr', {}, ...['Resource', '× price', '× seconds', '= cost'].map((title, i) => h('th', { scope: 'col', class: i > 0 ? 'number' : null }, title)))),
      h('tbody', {}, ...rows),
      h('tfoot', {}, h('tr', {}, h('th', { scope: 'row', colspan: 3 }, `Sum, which is ${counted(cost.cents, 'cent')} rounded down`), h('td', { class: 'number' }, number(cost.microcents))))));
  }
  return parts;
}
