/**
 * A spreadsheet runs a cell that begins like a formula, whoever wrote the text. An apostrophe before it keeps it text.
 * Numbers are the page's own, and stay numbers.
 * @param {string | number | bigint | null | undefined} value
 */
function cell(value) {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const text = /^\s*[=+\-@]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @typedef {(string | number | bigint | null)[]} Row */

/** @param {Row[]} rows */
export function encode(rows) { return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join(''); }

/**
 * @param {string} name of the file
 * @param {string[]} parts
 */
export function download(name, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type: 'text/csv;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has the file once it has taken the click up.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
