/** @import { UsageBreakdownBuild, UsageBreakdownJob } from '#api' */

import { find, h, Panel } from './dom.js';
import { counted, duration, money, named, number, shape, time } from './format.js';
import { VirtualTable } from './table.js';
import { download, encode } from './csv.js';
import { pause } from './pause.js';

/** @typedef {{ build: UsageBreakdownBuild, job?: UsageBreakdownJob }} Row */

const columns = [
  { title: 'Build', class: 'name' }, { title: 'Machine', class: 'machine' }, { title: 'Started', class: 'when' },
  { title: 'Duration', class: 'number length' }, { title: 'Cost', class: 'number amount' },
];

/** How many builds are written to a CSV file in one task. */
const CSV_CHUNK = 500;

const NOT_BILLED = 'not billed yet';

/** The value of an address for the leases without a build, which has no id. */
const NO_BUILD = 'none';

/** The builds of the window; each opens to its jobs. */
export class BuildsPanel {
  /** @type {UsageBreakdownBuild[]} */
  #builds = [];
  /** @type {Row[]} */
  #rows = [];
  /** @type {Set<UsageBreakdownBuild>} */
  #open = new Set();
  /** @type {UsageBreakdownJob | null} */
  #marked = null;
  #fileName = '';

  /** @param {(build: string | null) => void} opened called with the id of the build that is opened last, null when none is open */
  constructor(opened) {
    this.opened = opened;
    this.panel = new Panel('#builds');
    this.count = find('.count', this.panel.element);
    this.csv = /** @type {HTMLButtonElement} */ (find('.csv', this.panel.element));
    this.table = new VirtualTable(find('.scroller', this.panel.element), columns, (index) => this.#cells(/** @type {Row} */ (this.#rows[index])),
      (index) => this.#rowClass(/** @type {Row} */ (this.#rows[index])), (index) => this.#choose(/** @type {Row} */ (this.#rows[index])));
    this.csv.addEventListener('click', () => void this.#download());
  }

  /**
   * @param {AsyncIterable<UsageBreakdownBuild[]>} builds
   * @param {string} name of the CSV file
   * @param {string | null} open the build to open, as the address names it
   */
  async load(builds, name, open) {
    /** @type {UsageBreakdownBuild[]} */
    const loaded = [];
    this.#builds = loaded;
    this.#rows = [];
    this.#open.clear();
    this.#marked = null;
    this.#fileName = name;
    this.csv.disabled = true;
    this.count.textContent = '';
    this.panel.loading();
    this.table.scroller.scrollTop = 0;
    this.table.redraw(0);
    for await (const part of builds) {
      if (this.#builds !== loaded) return;
      if (this.#builds.length === 0) this.panel.ready();
      for (const build of part) {
        this.#builds.push(build);
        this.#rows.push({ build });
      }
      this.table.grow(this.#rows.length);
    }
    if (this.#builds !== loaded) return;
    this.count.textContent = number(loaded.length);
    this.csv.disabled = false;
    if (this.#builds.length === 0) this.panel.empty('No build started in this window.');
    const build = loaded.find((b) => idOf(b) === open);
    if (!build) return;
    this.#open.add(build);
    this.#updateRows();
    this.table.show(this.#rowOf(build));
  }

  /** @param {Row} row */
  #rowClass({ job }) {
    if (!job) return 'opens';
    return job === this.#marked ? 'job marked' : 'job';
  }

  /** @param {Row} row */
  #cells({ build, job }) {
    if (job) return this.#jobCells(job);
    const open = this.#open.has(build);
    const jobs = counted(build.job_count, 'job');
    return [
      h('td', { class: 'name' },
        h('button', { type: 'button', class: 'expand', 'aria-expanded': String(open), click: () => this.#toggle(build) }, titleOf(build)),
        h('span', { class: 'second' }, `${jobs} · `, time(build.started_at, 'short'))),
      h('td', { class: 'machine' }, jobs),
      h('td', { class: 'when' }, time(build.started_at)),
      h('td', { class: 'number length' }, durationOf(build)),
      amountCell(costOf(build)),
    ];
  }

  /** @param {UsageBreakdownJob} job */
  #jobCells(job) {
    const machine = shape([job.cpu_count, job.memory_gb, job.disk_gb]);
    const length = job.duration_seconds === null ? 'running' : duration(job.duration_seconds);
    const name = named(job.job_name ?? job.step_key ?? job.job_id ?? 'Lease without a job'), vm = job.vm_handle === null ? null : named(job.vm_handle);
    return [
      h('td', { class: 'name', title: name }, h('span', { class: 'title' }, name),
        h('span', { class: 'second' }, `${length} · ${machine}`)),
      h('td', { class: 'machine', title: `${vm ?? 'unknown machine'} · ${machine}` }, h('code', {}, vm ?? '—'), ` ${machine}`),
      h('td', { class: 'when' }, time(job.started_at)),
      h('td', { class: 'number length' }, length),
      amountCell(job.finished_at === null ? NOT_BILLED : money(-BigInt(job.amount_cents))),
    ];
  }

  /** @param {Row} row */
  #choose({ build, job }) {
    if (!job) this.#toggle(build);
  }

  /** @param {UsageBreakdownBuild} build */
  #toggle(build) {
    if (!this.#open.delete(build)) this.#open.add(build);
    const last = [...this.#open].at(-1);
    this.opened(last ? idOf(last) : null);
    this.#updateRows();
    // The button that was pressed is another element now.
    this.table.focus(this.#rowOf(build));
  }

  /** @param {UsageBreakdownBuild} build */
  #rowOf(build) { return this.#rows.findIndex((row) => row.build === build); }

  #updateRows() {
    this.#rows = this.#builds.flatMap((build) => (this.#open.has(build) ? [{ build }, ...build.jobs.map((job) => ({ build, job }))] : [{ build }]));
    this.table.redraw(this.#rows.length);
  }

  /**
   * Opens the build of a lease and brings the lease into view.
   * @param {import('#api').LeaseRecord} lease
   * @returns {boolean} whether it is among these builds
   */
  reveal(lease) {
    for (const build of this.#builds) {
      for (const job of build.jobs) {
        if (build.build_id !== lease.build_id || job.job_id !== lease.job_id || job.started_at !== lease.started_at) continue;
        // A lease without a job has no other name in a breakdown than its machine, when it started and what it cost.
        if (!lease.job_id && (job.vm_handle !== lease.vm_handle || BigInt(job.amount_cents) !== BigInt(lease.amount_cents))) continue;
        this.#open.add(build);
        this.opened(idOf(build));
        this.#marked = job;
        this.#updateRows();
        const row = this.table.show(this.#rows.findIndex((r) => r.job === job));
        this.panel.element.scrollIntoView({ block: 'start' });
        if (row) {
          row.tabIndex = -1;
          row.focus({ preventScroll: true });
        }
        return true;
      }
    }
    return false;
  }

  async #download() {
    const name = this.#fileName, builds = this.#builds;
    const parts = [
      encode([['build_id', 'build_number', 'build_external_id', 'pipeline_id', 'pipeline_name', 'pipeline_slug', 'job_id', 'job_name', 'step_key',
        'vm_handle', 'cpu_count', 'memory_gb', 'disk_gb', 'duration_seconds', 'amount_cents', 'started_at', 'finished_at']]),
    ];
    for (let i = 0; i < builds.length; i += CSV_CHUNK) {
      parts.push(encode(builds.slice(i, i + CSV_CHUNK).flatMap((b) => b.jobs.map((j) => [
        b.build_id, b.build_number, b.build_external_id, b.pipeline_id, b.pipeline_name, b.pipeline_slug, j.job_id, j.job_name, j.step_key,
        j.vm_handle, j.cpu_count, j.memory_gb, j.disk_gb, j.duration_seconds, j.amount_cents, j.started_at, j.finished_at,
      ]))));
      await pause();
    }
    download(name, parts);
  }
}

/** @param {string} text */
function amountCell(text) { return h('td', { class: `number amount ${text.length > 11 ? 'long' : ''}`, title: text }, text); }

/** @param {UsageBreakdownBuild} build */
function idOf(build) { return build.build_id ?? NO_BUILD; }

/**
 * @param {UsageBreakdownBuild} build
 * @returns {string} the sum of what its jobs are billed for, as the command line has it
 */
export function durationOf({ jobs }) {
  const billed = jobs.filter((job) => job.duration_seconds !== null);
  return billed.length === 0 ? 'running' : duration(billed.reduce((sum, job) => sum + (job.duration_seconds ?? 0), 0));
}

/**
 * @param {UsageBreakdownBuild} build
 * @returns {string} what its jobs are billed, unless all of them run
 */
export function costOf({ jobs, total_cents }) {
  const running = jobs.filter((job) => job.finished_at === null).length;
  if (running === jobs.length) return NOT_BILLED;
  return `${money(-BigInt(total_cents))}${running > 0 ? ' so far' : ''}`;
}

/** @param {Pick<UsageBreakdownBuild, 'build_id' | 'build_number' | 'build_external_id' | 'pipeline_name' | 'pipeline_slug'>} build */
export function titleOf(build) {
  if (build.build_id === null) return 'Leases without a build';
  const pipeline = named(build.pipeline_name ?? build.pipeline_slug ?? 'Build');
  return build.build_number === null ? `${pipeline} ${build.build_external_id ?? build.build_id}` : `${pipeline} #${build.build_number}`;
}
