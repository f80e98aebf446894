/** @import { UsageBreakdownBuild } from '#api' */

import { pause } from './pause.js';

/** How many characters are read in one task. */
const CHUNK = 16_384;

const QUOTE = 34, BACKSLASH = 92, OPEN_BRACE = 123, CLOSE_BRACE = 125, OPEN_BRACKET = 91, CLOSE_BRACKET = 93;

/**
 * Splits the text of a breakdown into its builds, so that the page never holds or parses the whole text.
 */
export class Splitter {
  #pending = '';
  #scanned = 0; // how much of #pending was scanned
  #buildStart = -1; // where the unfinished build begins in #pending; -1 between builds
  #depth = 0;
  #inText = false;
  #escaped = false;
  complete = false;

  /**
   * @param {string} chunk
   * @returns {string[]} the builds that ended in it, as JSON
   */
  push(chunk) {
    const text = this.#pending + chunk;
    const builds = [];
    let i = this.#scanned;
    for (; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (this.#inText) {
        if (this.#escaped) this.#escaped = false;
        else if (c === BACKSLASH) this.#escaped = true;
        else if (c === QUOTE) this.#inText = false;
      } else if (c === QUOTE) {
        this.#inText = true;
      } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
        // Within the object and the array of the answer, each object is a build.
        if (this.#depth === 2 && c === OPEN_BRACE) this.#buildStart = i;
        this.#depth++;
      } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
        this.#depth--;
        if (this.#depth === 2 && this.#buildStart >= 0) {
          builds.push(text.slice(this.#buildStart, i + 1));
          this.#buildStart = -1;
        } else if (this.#depth === 0) {
          this.complete = true;
        }
      }
    }
    const keep = this.#buildStart >= 0 ? this.#buildStart : text.length;
    this.#pending = text.slice(keep);
    this.#scanned = this.#pending.length;
    if (this.#buildStart >= 0) this.#buildStart = 0;
    return builds;
  }
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {(text: string) => UsageBreakdownBuild} parse
 * @returns {AsyncGenerator<UsageBreakdownBuild[]>} a few builds at a time
 */
export async function* buildsOf(body, parse) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  const splitter = new Splitter();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      // A browser may hand over a megabyte at once, for which the page would not answer.
      for (let i = 0; i < value.length; i += CHUNK) {
        const builds = splitter.push(value.slice(i, i + CHUNK)).map(parse);
        if (builds.length > 0) yield builds;
        await pause();
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
  if (!splitter.complete) throw new Error('the answer ends in the middle');
}
