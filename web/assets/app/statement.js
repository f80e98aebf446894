/** @import { StatementResponse, UsageBreakdownBuild, UsageGroup } from '#api' */

import { API } from './api.js';
import { costOf, durationOf, titleOf } from './builds.js';
import { resources } from './chart.js';
import { failure, find, h } from './dom.js';
import { counted, dayWithoutWeekday, hours, money, named, number, signed, sources } from './format.js';
import { pause } from './pause.js';
import { TOKEN } from './session.js';
import { Days, WindowError } from './window.js';

// A statement is a page to print: the ledger of an organization over a window, and the builds that used it.

const state = find('#state');
const query = new URLSearchParams(location.search);

/** @param {...(Node | string)} nodes */
function tell(...nodes) { state.replaceChildren(h('div', { class: 'notice bad' }, ...nodes)); }

async function start() {
  const token = sessionStorage.getItem(TOKEN), slug = query.get('org');
  /** @type {HTMLAnchorElement} */ (find('#usage-link')).href = `./${location.search}`;
  if (token === null) {
    tell('Sign in on the ', h('a', { href: `./${location.search}` }, 'usage page'), ' first, in this tab.');
    return;
  }
  let days;
  try {
    days = Days.of(query);
  } catch (error) {
    if (!(error instanceof WindowError)) throw error;
    tell(h('strong', {}, 'The link has no valid window.'), ` ${error.message}`);
    return;
  }
  if (days.toCome) {
    tell(h('strong', {}, 'The period has not begun.'), ` It is ${days.period}, in ${days.zone.label}.`);
    return;
  }
  const api = new API(token, () => {});
  state.textContent = 'Loading';
  try {
    const organizations = await api.organizations();
    const organization = slug === null ? organizations[0] : organizations.find((o) => o.slug === slug);
    if (!organization) {
      tell(`There is no organization ${named(slug ?? '')}, or your token may not see it.`);
      return;
    }
    const [statement, groups] = await Promise.all([
      api.statement(organization.slug, days.window), api.usageBy(organization.slug, { ...days.window, by: 'pipeline', interval: 'none', limit: 100 }),
    ]);
    showFacts(organization, days);
    showBalance(statement, days);
    const used = showPipelines(groups.other ? [...groups.data, groups.other] : groups.data, groups.other);
    const billed = -BigInt(statement.sources.find(({ source }) => source === 'vm_lease_debit')?.amount_cents ?? 0);
    find('#difference').textContent = `Usage counts a lease in the period in which it started, and the ledger debits it when it finishes.${used === billed ? '' : ` The usage of ${money(used)} and the debits of ${money(billed)} differ by such leases.`}`;
    showLedger(statement);
    await showBuilds(api.breakdown(organization.slug, days.window), days.zone);
  } catch (error) {
    state.replaceChildren(failure(error, () => void start()));
    return;
  }
  state.textContent = '';
  find('#statement').hidden = false;
  find('#print-bar').hidden = false;
}

/**
 * @param {import('#api').Organization} organization
 * @param {Days} days
 */
function showFacts({ name, slug }, days) {
  document.title = `${slug}-statement-${days.first}-to-${days.last}`; // browsers name the file by it
  const facts = [['Organization', name === slug ? named(name) : `${named(name)} (${slug})`], ['Period', `${days.period}, whole days in ${days.zone.label}`], ['Made', days.zone.clock(Date.now())]];
  if (days.underWay) facts.push(['Note', 'The period is not over. The closing balance is that of now.']);
  find('#facts').replaceChildren(...facts.flatMap(([term = '', text = '']) => [h('dt', {}, term), h('dd', {}, text)]));
  // Each page tells whose it is.
  document.styleSheets[1]?.insertRule(`@page { @top-left { content: ${cssString(`${named(name)} · Statement · ${days.period}`)}; font: 9pt sans-serif; } }`);
}

/** @param {string} text */
const cssString = (text) => `"${text.replace(/["\\\p{Cc}]/gu, (c) => `\\${(c.codePointAt(0) ?? 0).toString(16)} `)}"`;

/**
 * @param {StatementResponse} statement
 * @param {Days} days
 */
function showBalance({ opening_balance_cents, closing_balance_cents, sources: sums }, days) {
  const credits = sums.filter(({ source }) => source !== 'vm_lease_debit'), debits = sums.filter(({ source }) => source === 'vm_lease_debit');
  const line = (/** @type {typeof sums[number]} */ { source, entry_count, amount_cents }) =>
    row([source === 'vm_lease_debit' ? 'Debits for VM leases' : `Credits: ${sources[source] ?? source}`, number(entry_count), signed(amount_cents)]);
  find('#balance').replaceChildren(
    head('Item', 'Entries', 'Amount'),
    h('tbody', {},
      row([`Opening balance, ${moment(days.first, days.zone)}`, '', money(opening_balance_cents)], 'sum'),
      ...[...credits, ...debits].map(line),
      row([days.underWay ? 'Balance now' : `Closing balance, ${moment(days.end, days.zone)}`, '', money(closing_balance_cents)], 'sum')));
}

/**
 * @param {string} date YYYY-MM-DD
 * @param {import('./zone.js').Zone} zone
 * @returns {string} when the day begins, which is not at midnight where the clocks are put forward over it
 */
function moment(date, zone) {
  const [day = '', time = ''] = zone.clock(zone.startOfDay(date)).split(' ');
  return `${dayWithoutWeekday(day)} ${time.slice(0, 5)} ${zone.label}`;
}

/**
 * @param {UsageGroup[]} groups
 * @param {UsageGroup | null} other the sum of the groups that are not listed
 */
function showPipelines(groups, other) {
  const total = groups.reduce((sum, { total_cents }) => sum + BigInt(total_cents), 0n);
  const sum = (/** @type {(group: UsageGroup) => number} */ value) => groups.reduce((all, group) => all + BigInt(value(group)), 0n);
  find('#pipelines').replaceChildren(
    head('Pipeline', 'Leases', ...resources.map((r) => `${r.name}, ${r.unit}`), 'Cost'),
    h('tbody', {}, ...groups.map((g) => row([g === other ? 'All others' : named(g.name ?? g.value ?? 'No pipeline'), number(g.lease_count), ...resources.map((r) => hours(g[r.key])), money(g.total_cents)]))),
    h('tfoot', {}, row(['Total', number(sum((g) => g.lease_count)), ...resources.map((r) => hours(sum((g) => g[r.key]))), money(total)])));
  return total;
}

/**
 * @param {AsyncIterable<UsageBreakdownBuild[]>} parts
 * @param {import('./zone.js').Zone} zone
 */
async function showBuilds(parts, zone) {
  const body = h('tbody');
  let cents = 0n, count = 0, jobs = 0;
  for await (const part of parts) {
    body.append(...part.map((build) => row([titleOf(build), zone.clock(build.started_at), number(build.job_count), durationOf(build), costOf(build)])));
    for (const build of part) {
      cents -= BigInt(build.total_cents);
      jobs += build.job_count;
    }
    count += part.length;
    await pause();
  }
  find('#builds').replaceChildren(head('Build', 'Started', 'Jobs', 'Duration', 'Cost'), body,
    h('tfoot', {}, row([`Total of ${counted(count, 'build')}`, '', number(jobs), '', money(cents)])));
}

/** @param {StatementResponse} statement */
function showLedger({ opening_head, closing_head }) {
  find('#ledger').replaceChildren(
    head('Moment', 'Last entry', 'Digest of the entry (SHA-256)'),
    h('tbody', {}, ...[/** @type {const} */ (['Opening', opening_head]), /** @type {const} */ (['Closing', closing_head])].map(([name, { seq, digest }]) =>
      h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, number(seq)), h('td', {}, h('code', {}, digest))))));
}

/** @param {...string} titles the first is a text, the others are numbers */
function head(...titles) {
  return h('thead', {}, h('tr', {}, ...titles.map((title, i) => h('th', { scope: 'col', class: cellClass(i, titles.length) }, title))));
}

/**
 * @param {string[]} cells
 * @param {string | null} [kind] the class of the row
 */
function row(cells, kind = null) {
  return h('tr', { class: kind }, ...cells.map((text, i) => h(i === 0 ? 'th' : 'td', { scope: i === 0 ? 'row' : null, class: cellClass(i, cells.length) }, text)));
}

/**
 * @param {number} index
 * @param {number} count of cells; a small screen shows the first and the last
 */
function cellClass(index, count) {
  if (index === 0) return null;
  return index === count - 1 || count === 3 ? 'number' : 'number wide-only';
}

find('#print').addEventListener('click', () => print());
void start();
