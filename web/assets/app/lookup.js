/** @import { LeaseList, LeaseRecord } from '#api' */

import { titleOf } from './builds.js';
import { failure, find, h } from './dom.js';
import { duration, inUTC, money, named } from './format.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The form that tells whether the lease of an id was recorded. */
export class Lookup {
  #search = new AbortController(); // ended when something else is looked for

  /**
   * @param {(query: { lease_id: string } | { job_id: string }, signal: AbortSignal) => Promise<LeaseList>} read
   * @param {(lease: LeaseRecord) => void} goTo called with a lease that the reader wants to see
   */
  constructor(read, goTo) {
    this.read = read;
    this.goTo = goTo;
    this.input = /** @type {HTMLInputElement} */ (find('#lookup-id'));
    this.result = find('#lookup-result');
    find('#lookup').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#find(this.input.value.trim());
    });
  }

  /** Forgets what was looked for. */
  clear() {
    this.#search.abort();
    this.input.value = '';
    this.result.replaceChildren();
  }

  /** @param {string} id of a lease or of a job */
  async #find(id) {
    this.#search.abort();
    this.#search = new AbortController();
    const { signal } = this.#search;
    if (!UUID.test(id)) {
      this.result.replaceChildren(h('p', { class: 'notice bad' }, h('strong', {}, `“${named(id)}” is no id.`),
        ' The id of a lease or a job is a UUID, such as 01990000-0004-7000-8a00-000000000001.'));
      return;
    }
    try {
      let { data } = await this.read({ lease_id: id }, signal);
      if (data.length === 0) ({ data } = await this.read({ job_id: id }, signal));
      if (signal.aborted) return;
      this.result.replaceChildren(data[0] ? this.#facts(data[0]) : h('p', {}, 'No lease and no job with this id is recorded for this organization.'));
    } catch (error) {
      if (!signal.aborted) this.result.replaceChildren(failure(error, () => void this.#find(id)));
    }
  }

  /** @param {LeaseRecord} lease */
  #facts(lease) {
    const name = `${lease.build_id === null ? '' : `${titleOf(lease)}, `}${named(lease.job_name ?? lease.step_key ?? 'a job without a name')}`;
    const facts = lease.finished_at === null
      ? `It runs, and has cost ${lease.accrued_cents === null ? 'nothing, since it has no price,' : money(-BigInt(lease.accrued_cents))} so far, not billed.`
      : `It finished ${inUTC(lease.finished_at)}, and ${money(-BigInt(lease.amount_cents))} was billed for ${duration(lease.duration_seconds ?? 0)}.`;
    return h('p', {}, h('strong', {}, 'Recorded: '), `${name}, started ${inUTC(lease.started_at)}. ${facts} `,
      h('button', { type: 'button', class: 'link', click: () => this.goTo(lease) }, 'Show it'));
  }
}
