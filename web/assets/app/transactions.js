/** @import { Credit, LeaseRecord, Transaction, TransactionDetail } from '#api' */
/** @import { API } from './api.js' */

import { APIError, ifOffered } from './api.js';
import { titleOf } from './builds.js';
import { find, h, Panel } from './dom.js';
import { dayWithoutWeekday, duration, inUTC, money, named, number, signed, sources, time } from './format.js';
import { VirtualTable } from './table.js';
import { download, encode } from './csv.js';

/**
 * A row is an entry, or a line of what an open entry explains.
 * @typedef {{ title: string | HTMLElement, term?: string, amount?: string }} Line
 * @typedef {Transaction | Credit} Entry
 * @typedef {{ entry: Entry, line?: Line }} Row
 */

const columns = [
  { title: 'Time', class: 'when' }, { title: 'Source', class: 'source' }, { title: 'Description', class: 'name' }, { title: 'Amount', class: 'number amount' },
];

/** The ledger entries of the window, newest first. It reads older pages as the reader scrolls. */
export class TransactionsPanel {
  /** @type {Entry[]} */
  #entries = [];
  /** @type {Row[]} */
  #rows = [];
  /** @type {Map<Entry, Line[]>} */
  #open = new Map();
  /** @type {string | null} */
  #cursor = null; // of the next page; null before the first and after the last
  #reading = false;
  /** @type {unknown} */
  #error = null;
  /** @type {API | null} */
  #api = null;
  #org = '';
  /** @type {(import('#api').StatementResponse & { days: import('./window.js').Days }) | null} */
  #statement = null; // of the window, with the window
  #filter = ''; // the source to show alone, or credits; empty for all
  /** @type {import('./api.js').Window} */
  #window = { from: '', to: '' };
  #fileName = '';
  #load = new AbortController(); // ended when other entries are asked for
  /** @type {AbortSignal | undefined} */
  #shown; // ends when another organization or window is shown

  /**
   * @param {(lease: LeaseRecord) => void} goTo called with the lease of a debit
   * @param {(source: string | null) => void} filtered called with the source that the reader chooses, null for all
   */
  constructor(goTo, filtered) {
    this.goTo = goTo;
    this.panel = new Panel('#transactions');
    this.count = find('.count', this.panel.element);
    this.balances = find('.balances', this.panel.element);
    this.foot = find('.foot', this.panel.element);
    this.source = /** @type {HTMLSelectElement} */ (find('#source'));
    this.csv = /** @type {HTMLButtonElement} */ (find('.csv', this.panel.element));
    this.table = new VirtualTable(find('.scroller', this.panel.element), columns,
      (index) => this.#cells(/** @type {Row} */ (this.#rows[index])), (index) => rowClass(/** @type {Row} */ (this.#rows[index])),
      (index) => this.#choose(/** @type {Row} */ (this.#rows[index])), () => this.#readMore());
    this.source.addEventListener('change', () => {
      this.#filter = this.source.value;
      filtered(this.#filter || null);
      this.#drawBalances();
      void this.#start();
    });
    this.csv.addEventListener('click', () => void this.#download());
  }

  /**
   * @param {API} api
   * @param {string} org
   * @param {import('./window.js').Days} days
   * @param {string} name of the CSV file
   * @param {string} source to show alone, or credits; empty for all
   * @param {AbortSignal} signal
   */
  async load(api, org, days, name, source, signal) {
    this.#api = api;
    this.#org = org;
    this.#window = days.window;
    this.#fileName = name;
    this.#shown = signal;
    this.#filter = source;
    this.source.value = source;
    await Promise.all([this.#start(), this.#showBalances(days, signal)]);
  }

  /**
   * @param {import('./window.js').Days} days
   * @param {AbortSignal} signal
   */
  async #showBalances(days, signal) {
    this.#statement = null;
    this.#drawBalances();
    const statement = await ifOffered(/** @type {API} */ (this.#api).statement(this.#org, days.window, signal));
    if (signal.aborted || statement === null) return;
    this.#statement = { ...statement, days };
    this.#drawBalances();
  }

  /** Shows the balances with the sums of the sources between them, or the sums of the chosen sources alone. */
  #drawBalances() {
    this.balances.replaceChildren();
    if (!this.#statement) return;
    const { opening_balance_cents, closing_balance_cents, sources: sums, days } = this.#statement, filter = this.#filter;
    const shown = sums.filter(({ source }) => !filter || (filter === 'credits' ? source !== 'vm_lease_debit' : source === filter));
    const items = shown.map(({ source, amount_cents }) => [sources[source] ?? source, signed(amount_cents)]);
    if (!filter) {
      items.unshift([`Opening balance, ${dayWithoutWeekday(days.first)}`, money(opening_balance_cents)]);
      items.push([days.underWay ? 'Balance now' : `Closing balance, end of ${dayWithoutWeekday(days.last)}`, money(closing_balance_cents)]);
    }
    this.balances.replaceChildren(...items.map(([term = '', amount = '']) => h('div', {}, h('dt', {}, term), h('dd', {}, amount))));
  }

  /** Shows the entries of the chosen source from the newest on. */
  async #start() {
    this.#load.abort();
    this.#load = new AbortController();
    const { signal } = this.#load;
    this.#shown?.addEventListener('abort', () => this.#load.abort(), { signal });
    this.#entries = [];
    this.#open.clear();
    this.#cursor = null;
    this.#error = null;
    this.#reading = false;
    this.csv.disabled = true;
    this.count.textContent = '';
    this.panel.loading();
    this.table.scroller.scrollTop = 0;
    this.#updateRows();
    try {
      await this.#readPage(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof APIError && error.code === 'transaction_filter_invalid') {
        this.panel.refused(`Entries have no source “${named(this.#filter)}”.`, 'Choose a source above.');
      } else {
        this.panel.failed(error, () => void this.#start());
      }
      return;
    }
    if (signal.aborted) return;
    this.csv.disabled = false;
    if (this.#entries.length === 0) this.panel.empty('The ledger has no such entry in this window.');
    else this.panel.ready();
    this.table.redraw(this.#rows.length);
    this.#showProgress();
  }

  /**
   * @param {string | null} cursor
   * @param {AbortSignal | undefined} signal
   */
  #page(cursor, signal) {
    const api = /** @type {API} */ (this.#api), page = { ...this.#window, cursor };
    return this.#filter === 'credits' ? api.credits(this.#org, page, signal) : api.transactions(this.#org, { ...page, source: this.#filter || null }, signal);
  }

  /** @param {AbortSignal} signal */
  async #readPage(signal) {
    const { data, next_cursor } = await this.#page(this.#cursor, signal);
    if (signal.aborted) return;
    this.#cursor = next_cursor;
    for (const entry of data) {
      this.#entries.push(entry);
      this.#rows.push({ entry });
    }
  }

  /** Reads one more page, where there is one. */
  async #readMore() {
    if (this.#reading || this.#error || this.#cursor === null) return;
    this.#reading = true;
    const { signal } = this.#load;
    this.#showProgress();
    try {
      await this.#readPage(signal);
    } catch (error) {
      if (!signal.aborted) this.#error = error;
    }
    if (signal.aborted) return;
    this.#reading = false;
    this.table.grow(this.#rows.length);
    this.#showProgress();
  }

  #showProgress() {
    this.count.textContent = this.#entries.length === 0 ? '' : `${number(this.#entries.length)}${this.#cursor === null ? '' : '+'}`;
    const again = () => {
      this.#error = null;
      void this.#readMore();
    };
    if (this.#error) this.foot.replaceChildren(h('span', { class: 'bad', role: 'alert' }, sentence(this.#error)), h('button', { type: 'button', click: again }, 'Try again'));
    else if (this.#cursor === null) this.foot.replaceChildren('These are all entries of the window.');
    else this.foot.replaceChildren('Older entries follow.', h('button', { type: 'button', disabled: this.#reading, click: again }, 'Show more'));
  }

  #updateRows() {
    this.#rows = this.#entries.flatMap((entry) => [{ entry }, ...(this.#open.get(entry) ?? []).map((line) => ({ entry, line }))]);
    this.table.redraw(this.#rows.length);
  }

  /** @param {Row} row */
  #choose({ entry, line }) {
    if (!line) void this.#toggle(entry);
  }

  /** @param {Row} row */
  #cells({ entry, line }) {
    if (line) return lineCells(line);
    const amount = signed(entry.amount_cents), credit = BigInt(entry.amount_cents) > 0n;
    const source = sources[entry.source] ?? entry.source, description = named(entry.description ?? '');
    return [
      h('td', { class: 'when' }, time(entry.created_at)),
      h('td', { class: 'source' }, h('span', { class: `badge ${credit ? 'credit' : ''}` }, source)),
      h('td', { class: 'name', title: description },
        h('button', { type: 'button', class: 'expand', 'aria-expanded': String(this.#open.has(entry)), click: () => void this.#toggle(entry) },
          description || `${source} without a description`),
        ' ', 'author' in entry && entry.author !== null ? h('span', { class: 'term' }, `by ${named(entry.author)}`) : null,
        h('span', { class: 'second' }, `${source} · `, time(entry.created_at, 'short'))),
      h('td', { class: `number amount ${credit ? 'credit' : ''} ${amount.length > 11 ? 'long' : ''}`, title: amount }, amount),
    ];
  }

  /**
   * Opens an entry to what it explains, or closes it.
   * @param {Entry} entry
   */
  async #toggle(entry) {
    const { signal } = this.#load;
    const show = (/** @type {Line[]} */ lines) => {
      if (signal.aborted) return;
      this.#open.set(entry, lines);
      this.#updateRows();
      this.table.focus(this.#rows.findIndex((row) => row.entry === entry));
    };
    if (this.#open.delete(entry)) {
      this.#updateRows();
      this.table.focus(this.#rows.findIndex((row) => row.entry === entry));
      return;
    }
    try {
      show(this.#explain(await /** @type {API} */ (this.#api).transaction(this.#org, entry.id, signal)));
    } catch (error) {
      show(failureLines(error));
    }
  }

  /**
   * @param {TransactionDetail} detail
   * @returns {Line[]} where an entry comes from, the arithmetic of its cost, and the balance after it
   */
  #explain({ author, balance_after_cents, cost, lease, rate_card, source }) {
    /** @type {Line[]} */
    const lines = [];
    if (lease) {
      const job = named(lease.job_name ?? lease.step_key ?? lease.job_id ?? 'lease without a job');
      const build = lease.build_number === null ? '' : `${titleOf(lease)}, `;
      lines.push({ title: h('button', { type: 'button', class: 'link', click: () => this.goTo(lease) }, `Show ${build}${job}`) });
    } else if (source !== 'vm_lease_debit') {
      lines.push({ title: author === null ? 'Who posted it is not recorded.' : `Posted by ${named(author)}` });
    } else {
      lines.push({ title: 'This debit names no lease: it is history of another system.' });
    }
    if (lease && !cost) lines.push({ title: 'No rate card in the books gives this amount: the lease was priced elsewhere.' });
    if (cost) {
      if (rate_card) lines.push({ title: `Rate card: ${named(rate_card.name)}`, term: `in force from ${inUTC(rate_card.effective_from)}` });
      for (const [name, resource] of /** @type {const} */ ([['CPU', cost.cpu], ['GB of memory', cost.memory_gb], ['GB of disk', cost.disk_gb]])) {
        lines.push({
          title: `${number(resource.count)} ${name}`, term: `× ${number(resource.microcents_per_second)} × ${number(cost.duration_seconds)} s`,
          amount: number(resource.microcents),
        });
      }
      lines.push({ title: `Sum for ${duration(cost.duration_seconds)}`, term: 'in millionths of a cent', amount: number(cost.microcents) });
      lines.push({ title: 'Rounded down to whole cents', amount: money(cost.cents) });
    }
    lines.push({ title: 'Balance after this entry', amount: money(balance_after_cents) });
    return lines;
  }

  /** Writes all entries of the window and the source, including those that were not read yet. */
  async #download() {
    const { signal } = this.#load;
    this.csv.disabled = true;
    const label = this.csv.textContent;
    try {
      const parts = [encode([['id', 'amount_cents', 'source', 'description', 'created_at']])];
      let read = 0;
      /** @type {string | null} */
      let cursor = null;
      do {
        /** @type {{ data: Entry[], next_cursor: string | null }} */
        const page = await this.#page(cursor, signal);
        read += page.data.length;
        this.csv.textContent = number(read);
        parts.push(encode(page.data.map((e) => [e.id, e.amount_cents, e.source, e.description, e.created_at])));
        cursor = page.next_cursor;
      } while (cursor !== null);
      download(this.#fileName, parts);
    } catch (error) {
      if (!signal.aborted) this.foot.replaceChildren(h('span', { class: 'bad', role: 'alert' }, sentence(error)));
    } finally {
      this.csv.textContent = label;
      if (!signal.aborted) this.csv.disabled = false;
    }
  }
}

/** @param {Row} row */
const rowClass = ({ line }) => (line ? 'job line' : 'opens');

/** @param {Line} line */
function lineCells({ title, term, amount }) {
  return [
    h('td', { class: 'when' }), h('td', { class: 'source' }),
    h('td', { class: 'name' }, h('span', { class: 'title' }, title), term ? ' ' : null, term ? h('span', { class: 'term' }, term) : null),
    h('td', { class: 'number amount' }, amount ?? ''),
  ];
}

/**
 * @param {any} error
 * @returns {Line[]}
 */
function failureLines(error) {
  return [error.title ?? 'Something went wrong.', error.message, error.requestID ? `Request ${error.requestID}.` : ''].filter((text) => text !== '')
    .map((text, i) => ({ title: h('span', { class: 'bad', role: i === 0 ? 'alert' : null }, text) }));
}

/** @param {any} error */
function sentence(error) {
  return `${error.title ?? 'Something went wrong.'} ${error.message} ${error.requestID ? `Request ${error.requestID}.` : ''}`;
}
