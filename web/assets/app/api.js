/** @import { BalanceResponse, CreditList, LeaseList, OrganizationList, RunwayResponse, StatementResponse, TransactionList, TransactionDetail, UsageByResponse, UsageResponse, UsageSeriesResponse, UsageBreakdownBuild, Error as Envelope } from '#api' */

import { named } from './format.js';
import { buildsOf } from './stream.js';

/** @typedef {{ from: string, to: string }} Window half-open, as the API takes it */

/** An answer that is not the one asked for. */
export class APIError extends Error {
  /**
   * @param {string} title
   * @param {string} message
   * @param {{ status?: number, code?: string, requestID?: string }} [facts]
   */
  constructor(title, message, { status = 0, code = '', requestID = '' } = {}) {
    super(message);
    this.title = title;
    this.status = status;
    this.code = code;
    this.requestID = requestID;
  }
}

/**
 * @template T
 * @param {Promise<T>} answer
 * @returns {Promise<T | null>} null where the server does not have the call
 */
export async function ifOffered(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof APIError && error.code === 'route_not_found') return null;
    throw error;
  }
}

// JSON.parse rounds an integer above 2^53. Such an integer becomes a BigInt with the digits that were sent.
const longInteger = /\d{16}/;

/** @param {string} text */
export function parseWithBigInts(text) {
  if (!longInteger.test(text)) return JSON.parse(text);
  return JSON.parse(text, /** @type {any} */ (bigIntIfUnsafe));
}

/**
 * @param {string} _
 * @param {unknown} value
 * @param {{ source: string } | undefined} context
 */
function bigIntIfUnsafe(_, value, context) {
  return typeof value === 'number' && !Number.isSafeInteger(value) && context ? BigInt(context.source) : value;
}

/** The public API, with one token. */
export class API {
  /**
   * @param {string} token
   * @param {() => void} onUnauthorized called when the server does not accept the token
   */
  constructor(token, onUnauthorized) {
    this.token = token;
    this.onUnauthorized = onUnauthorized;
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number | null | undefined>} query
   * @param {AbortSignal} [signal]
   */
  async #fetch(path, query, signal) {
    const url = new URL(`api/v0/${path}`, document.baseURI);
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined) url.searchParams.set(name, String(value));
    }
    /** @type {Response} */
    let response;
    try {
      response = await fetch(url, { headers: { Authorization: `Bearer ${this.token}` }, signal: signal ?? null, cache: 'no-store' });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new APIError('The server cannot be reached.', 'Check the connection, then try again.');
    }
    if (response.ok) return response;
    if (response.status === 401) this.onUnauthorized();
    throw await errorOf(response);
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number | null | undefined>} query
   * @param {AbortSignal} [signal]
   */
  async #get(path, query, signal) {
    const response = await this.#fetch(path, query, signal);
    try {
      return parseWithBigInts(await response.text());
    } catch (error) {
      if (signal?.aborted) throw error;
      throw truncatedError(response);
    }
  }

  /**
   * @param {string} org
   * @param {AbortSignal} [signal]
   * @returns {Promise<BalanceResponse>}
   */
  balance(org, signal) { return this.#get(`billing/balance/${encodeURIComponent(org)}`, {}, signal); }

  /**
   * How long the balance lasts.
   * @param {string} org
   * @param {AbortSignal} [signal]
   * @returns {Promise<RunwayResponse>}
   */
  runway(org, signal) { return this.#get(`billing/runway/${encodeURIComponent(org)}`, {}, signal); }

  /**
   * A page of the ledger, newest entry first.
   * @param {string} org
   * @param {{ from: string, to: string, source: string | null, cursor: string | null }} page
   * @param {AbortSignal} [signal]
   * @returns {Promise<TransactionList>}
   */
  transactions(org, page, signal) { return this.#get(`billing/transactions/${encodeURIComponent(org)}`, { limit: 100, ...page }, signal); }

  /**
   * A page of the entries that are no debits, newest first.
   * @param {string} org
   * @param {{ from: string, to: string, cursor: string | null }} page
   * @param {AbortSignal} [signal]
   * @returns {Promise<CreditList>}
   */
  credits(org, page, signal) { return this.#get(`billing/credits/${encodeURIComponent(org)}`, { limit: 100, ...page }, signal); }

  /**
   * The balances before and after a window, and the sums of its entries.
   * @param {string} org
   * @param {Window} window
   * @param {AbortSignal} [signal]
   * @returns {Promise<StatementResponse>}
   */
  statement(org, window, signal) { return this.#get(`billing/statement/${encodeURIComponent(org)}`, window, signal); }

  /**
   * One entry with its lease and the arithmetic of its cost.
   * @param {string} org
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<TransactionDetail>}
   */
  transaction(org, id, signal) { return this.#get(`billing/transactions/${encodeURIComponent(org)}/${encodeURIComponent(id)}`, {}, signal); }

  /**
   * Leases, those that started last first, at most 100.
   * @param {string} org
   * @param {{ state: 'running' } | { lease_id: string } | { job_id: string }} filter
   * @param {AbortSignal} [signal]
   * @returns {Promise<LeaseList>}
   */
  leases(org, filter, signal) { return this.#get(`billing/leases/${encodeURIComponent(org)}`, { ...filter, limit: 100 }, signal); }

  /**
   * @param {string} org
   * @param {Window} window
   * @param {AbortSignal} [signal]
   * @returns {Promise<UsageResponse>}
   */
  usage(org, window, signal) { return this.#get(`billing/usage/${encodeURIComponent(org)}`, window, signal); }

  /**
   * @param {string} org
   * @param {Window} window
   * @param {AbortSignal} [signal]
   * @returns {Promise<UsageSeriesResponse>}
   */
  series(org, window, signal) { return this.#get(`billing/usage/${encodeURIComponent(org)}/series`, window, signal); }

  /**
   * The usage of a window in groups, those that cost most first.
   * @param {string} org
   * @param {Window & { by: string, interval: 'none' | 'day' | 'month', limit: number }} query
   * @param {AbortSignal} [signal]
   * @returns {Promise<UsageByResponse>}
   */
  usageBy(org, query, signal) { return this.#get(`billing/usage/${encodeURIComponent(org)}/by`, query, signal); }

  /**
   * The builds of a window, as they arrive.
   * @param {string} org
   * @param {Window} window
   * @param {AbortSignal} [signal]
   * @returns {AsyncGenerator<UsageBreakdownBuild[]>}
   */
  async *breakdown(org, window, signal) {
    const response = await this.#fetch(`billing/usage/${encodeURIComponent(org)}/breakdown`, window, signal);
    try {
      yield* buildsOf(/** @type {ReadableStream<Uint8Array>} */ (response.body), parseWithBigInts);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw truncatedError(response);
    }
  }

  /** @returns {Promise<import('#api').Organization[]>} all that the token sees */
  async organizations() {
    const all = [];
    /** @type {string | null} */
    let cursor = null;
    do {
      /** @type {OrganizationList} */
      const page = await this.#get('organizations', { limit: 100, cursor });
      all.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return all;
  }
}

/** @param {Response} response */
function truncatedError(response) {
  return new APIError('The answer was cut off.', 'What arrived is not complete, so it is not shown.',
    { requestID: response.headers.get('x-request-id') ?? '' });
}

/** @param {Response} response */
async function errorOf(response) {
  const requestID = response.headers.get('x-request-id') ?? '';
  try {
    const { error } = /** @type {Envelope} */ (JSON.parse(await response.text()));
    return new APIError(`The server answered with ${response.status}.`, named(`${error.message[0]?.toUpperCase()}${error.message.slice(1)}.`),
      { status: response.status, code: error.code, requestID: error.request_id });
  } catch {
    // A proxy, and not the billing server.
    return new APIError(`Something before the server answered with ${response.status}.`, 'It may be a passing fault; try again.',
      { status: response.status, requestID });
  }
}
