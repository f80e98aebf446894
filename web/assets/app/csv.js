/**
 * A spreadsheet runs a cell that begins like a formula, whoever wrote the text. An apostrophe before it keeps it text; a number is none.
 * The command line writes each cell in the same way, in cmd/harmont-billing/output.go.
 * @param {string | number | bigint | null | undefined} value
 */
function cell(value) {
  const exact = String(value ?? '');
  const formula = /^\p{White_Space}*[=+\-@＝＋－＠]|^[\t\r\n]/u.test(exact) && !/^-?[0-9]+(\.[0-9]+)?$/.test(exact);
  const text = formula ? `'${exact}` : exact;
  return /[",\r\n]|^\p{White_Space}|^\\\.$/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @typedef {(string | number | bigint | null)[]} Row */

/** @param {Row[]} rows */
export function encode(rows) { return rows.map((row) => `${row.map(cell).join(',')}\n`).join(''); }

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
