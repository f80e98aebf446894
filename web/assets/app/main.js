/** @import { Organization } from '#api' */

import { API, APIError } from './api.js';
import { BuildsPanel } from './builds.js';
import { DaysPanel } from './chart.js';
import { failure, find, h } from './dom.js';
import { named, showTimesIn } from './format.js';
import { GroupsPanel } from './groups.js';
import { Lookup } from './lookup.js';
import { RunningPanel } from './running.js';
import { TOKEN } from './session.js';
import { SummaryPanel } from './summary.js';
import { TransactionsPanel } from './transactions.js';
import { Days, daysFrom, WindowError, zoneOf } from './window.js';
import { UTC, Zone } from './zone.js';

/** @type {API | null} */
let api = null;
/** @type {Organization[]} */
let organizations = [];
/** @type {Organization | null} */
let organization = null;
let shownQuery = ''; // the query of the address whose data is shown
let zone = UTC;
let days = Days.ofMonth('this', zone);
let shownLoad = new AbortController(); // ended when another organization or window is shown
let regroup = () => Promise.resolve(); // loads the groups of the window that is shown
/** @type {Promise<unknown>} */
let buildsLoaded = Promise.resolve();

const summary = new SummaryPanel();
const chart = new DaysPanel((date) => chooseWindow(() => daysFrom(date, date, UTC)));
const groups = new GroupsPanel((by) => chooseGroup(by), (text) => remember('find', text));
const running = new RunningPanel();
const builds = new BuildsPanel((build) => remember('build', build));
const transactions = new TransactionsPanel((lease) => void showLease(lease), (source) => remember('source', source));

const lookup = new Lookup(
  (filter, signal) => /** @type {API} */ (api).leases(/** @type {Organization} */ (organization).slug, filter, signal), (lease) => void showLease(lease),
);

const query = () => new URLSearchParams(location.search);

/** @param {'signed-out' | 'no-access' | 'failed' | 'usage' | ''} name what to show, nothing while it is not known */
function show(name) {
  for (const id of ['signed-out', 'no-access', 'failed', 'usage']) find(`#${id}`).hidden = id !== name;
  find('#sign-out').hidden = name === 'signed-out';
  find('#org').hidden = name !== 'usage';
}

/** @param {string} [problem] why */
function signOut(problem = '') {
  shownLoad.abort();
  api = null;
  lookup.clear();
  sessionStorage.removeItem(TOKEN);
  const notice = find('#sign-in-problem');
  notice.textContent = problem;
  notice.hidden = problem === '';
  show('signed-out');
  find('#token').focus();
}

/** @param {string} token */
async function signIn(token) {
  sessionStorage.setItem(TOKEN, token);
  const client = new API(token, () => {
    if (api === client) signOut('The server does not accept this token: it is mistyped, expired or revoked.');
  });
  api = client;
  show('');
  try {
    const list = await client.organizations();
    if (api !== client) return;
    organizations = list;
    showAddress();
  } catch (error) {
    if (api !== client) return;
    find('#failed .state').replaceChildren(failure(error, () => void signIn(token)));
    show('failed');
  }
}

/** Shows what the page's address asks for. */
function showAddress() {
  if (!api) return;
  shownQuery = location.search;
  const slug = query().get('org');
  const found = slug === null ? organizations[0] : organizations.find((o) => o.slug === slug);
  if (!found) {
    noAccess(slug);
    return;
  }
  organization = found;
  zone = UTC;
  try {
    zone = zoneOf(query());
    days = Days.of(query());
  } catch (error) {
    if (!(error instanceof WindowError)) throw error;
    badWindow(error.message);
    return;
  }
  load();
}

/**
 * Says why the address gives no window. The reader chooses one.
 * @param {string} problem
 */
function badWindow(problem) {
  shownLoad.abort();
  showHead();
  for (const button of find('#windows').children) button.setAttribute('aria-pressed', 'false');
  showZones();
  find('#window-name').textContent = '';
  find('#bad-window-text').textContent = problem;
  find('#bad-window').hidden = false;
  find('#to-come').hidden = true;
  find('#panels').hidden = true;
}

/** @param {string | null} slug */
function noAccess(slug) {
  shownLoad.abort();
  find('#no-access-text').textContent = slug === null ? 'This token sees no organization.'
    : `There is no organization ${named(slug)}, or this token may not see it.`;
  find('#no-access-choices').replaceChildren(...organizations.map((o) => {
    const to = query();
    to.set('org', o.slug);
    return h('a', { href: `?${to}` }, named(o.name));
  }));
  show('no-access');
}

/** Makes an address of what is shown, to which the browser can go back, and loads it. */
function go() {
  const to = query();
  if (organization) to.set('org', organization.slug);
  ({ zone } = days);
  days.writeTo(to);
  to.delete('days');
  to.delete('build'); // it is of the window before
  history.pushState(null, '', `?${to}`);
  shownQuery = location.search;
  load();
}

/**
 * Keeps a choice in the address.
 * @param {string} name
 * @param {string | null} value null for none
 */
function remember(name, value) {
  const to = query();
  if (value === null) to.delete(name);
  else to.set(name, value);
  history.replaceState(null, '', `?${to}`);
  shownQuery = location.search;
}

/** Shows the usage page with its organization, and without figures. */
function showHead() {
  const org = /** @type {Organization} */ (organization);
  show('usage');
  document.title = `${named(org.name)} · Usage · Harmont Billing`;
  find('#org-name').textContent = named(org.name);
  const choice = /** @type {HTMLSelectElement} */ (find('#org-choice'));
  choice.replaceChildren(...organizations.map((o) => h('option', { value: o.slug }, named(o.name))));
  choice.value = org.slug;
  choice.hidden = organizations.length < 2;
  find('#org-name').hidden = organizations.length >= 2;
}

/** Loads every panel for the organization and the window. */
function load() {
  shownLoad.abort();
  shownLoad = new AbortController();
  const { signal } = shownLoad;
  const org = /** @type {Organization} */ (organization).slug, current = /** @type {API} */ (api), shown = days, { window } = days;
  showHead();
  showWindow();
  if (days.toCome) return;
  const name = `${org}-${shown.first}-to-${shown.last}`;
  const loadSummary = () => attempt(summary.panel, () => summary.load(current, org, shown, signal), signal, loadSummary);
  const loadDays = () => attempt(chart.panel, () => chart.load(() => current.series(org, window, signal), shown, `${name}-days.csv`, signal), signal, loadDays);
  const loadGroups = () => attempt(groups.panel, () => groups.load(current, org, shown, {
    by: query().get('by') ?? 'pipeline', search: query().get('find') ?? '', name: `${name}-groups.csv`,
  }, signal), signal, loadGroups);
  const loadRunning = () => attempt(running.panel, () => running.load(current, org, signal), signal, loadRunning);
  const loadBuilds = () => attempt(builds.panel,
    () => builds.load(current.breakdown(org, window, signal), `${name}-builds.csv`, query().get('build')), signal, loadBuilds);
  const loadTransactions = () => attempt(transactions.panel,
    () => transactions.load(current, org, shown, `${name}-transactions.csv`, query().get('source') ?? '', signal), signal, loadTransactions);
  // The browser's timeline tells how long readers wait.
  void Promise.all([loadSummary(), loadDays()]).then(() => performance.mark('figures'));
  buildsLoaded = loadBuilds();
  regroup = loadGroups;
  void loadGroups();
  void loadRunning();
  void loadTransactions();
}

/** @param {string} by */
function chooseGroup(by) {
  remember('find', null);
  remember('by', by === 'pipeline' ? null : by);
  void regroup();
}

/** Shows which window is chosen. */
function showWindow() {
  find('#bad-window').hidden = true;
  find('#to-come').hidden = !days.toCome;
  find('#panels').hidden = days.toCome;
  find('#window-name').textContent = days.name;
  showZones();
  const chosen = zone.name !== UTC.name;
  showTimesIn(chosen ? zone.name : undefined);
  for (const note of document.querySelectorAll('.utc-days')) /** @type {HTMLElement} */ (note).hidden = !chosen;
  find('#end').textContent = chosen ? `Times and the window are in ${zone.label}; point at a time for UTC. The bars of the charts are in UTC.`
    : 'Times are in your time zone; point at one for UTC. The window and the bars of the charts are in UTC.';
  const to = new URLSearchParams(organization ? { org: organization.slug } : {});
  days.writeTo(to);
  /** @type {HTMLAnchorElement} */ (find('#statement-link')).href = `statement?${to}`;
  let preset = false;
  for (const button of document.querySelectorAll('[data-month], [data-last]')) {
    const { dataset } = /** @type {HTMLElement} */ (button);
    const chosen = dataset.month ? days.words.month === dataset.month : days.words.last === dataset.last;
    preset ||= chosen;
    button.setAttribute('aria-pressed', String(chosen));
  }
  find('[data-custom]').setAttribute('aria-pressed', String(!preset));
  showCustom(!preset);
  input('#month').value = days.first.slice(0, 7);
  input('#first').value = days.first;
  input('#last').value = days.last;
}

/** Offers UTC, the reader's time zone and that of the address. */
function showZones() {
  const choice = /** @type {HTMLSelectElement} */ (find('#zone'));
  const names = new Set([UTC.name, Zone.own.name, zone.name]);
  choice.replaceChildren(...[...names].map((name) => h('option', { value: name }, name)));
  choice.value = zone.name;
}

/**
 * @param {import('./dom.js').Panel} panel
 * @param {() => Promise<void>} load
 * @param {AbortSignal} signal
 * @param {() => void} retry
 */
async function attempt(panel, load, signal, retry) {
  try {
    await load();
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof APIError && error.code === 'organization_not_found') noAccess(organization?.slug ?? null);
    else if (error instanceof APIError && error.code === 'route_not_found') panel.empty('This server does not tell it.');
    else panel.failed(error, retry);
    if (!(error instanceof APIError)) throw error;
  }
}

/** @param {import('#api').LeaseRecord} lease */
async function showLease(lease) {
  if (!days.includes(lease.started_at)) {
    const date = zone.dateOf(Date.parse(lease.started_at));
    days = daysFrom(date, date, zone);
    go();
  }
  const { signal } = shownLoad;
  await buildsLoaded;
  if (!signal.aborted && !builds.reveal(lease)) find('#builds').scrollIntoView();
}

/** @param {boolean} shown */
function showCustom(shown) {
  find('#custom').hidden = !shown;
  find('#range-problem').hidden = true;
  find('[data-custom]').setAttribute('aria-expanded', String(shown));
}

/** @param {string} selector */
const input = (selector) => /** @type {HTMLInputElement} */ (find(selector));

/**
 * Goes to the window that the reader has chosen, or says why it is none.
 * @param {() => Days} choose
 */
function chooseWindow(choose) {
  const problem = find('#range-problem');
  try {
    days = choose();
  } catch (error) {
    if (!(error instanceof WindowError)) throw error;
    problem.textContent = error.message;
    problem.hidden = false;
    return;
  }
  go();
}

for (const button of document.querySelectorAll('[data-month], [data-last]')) {
  const { month = '', last = '' } = /** @type {HTMLElement} */ (button).dataset;
  button.addEventListener('click', () => chooseWindow(() => (month ? Days.ofMonth(month, zone) : Days.ofLast(last, zone))));
}
find('[data-custom]').addEventListener('click', () => {
  showCustom(find('#custom').hidden === true);
  find('#month').focus();
});
find('#month-form').addEventListener('submit', (event) => {
  event.preventDefault();
  chooseWindow(() => Days.ofMonth(input('#month').value, zone));
});
find('#range-form').addEventListener('submit', (event) => {
  event.preventDefault();
  chooseWindow(() => daysFrom(input('#first').value, input('#last').value, zone));
});
find('#zone').addEventListener('change', () => {
  const to = query();
  to.set('tz', /** @type {HTMLSelectElement} */ (find('#zone')).value);
  if (to.get('tz') === UTC.name) to.delete('tz');
  to.delete('build'); // it may be of another day
  history.pushState(null, '', `?${to}`);
  showAddress(); // the window is given in words, and is now that of this zone
});
find('#org-choice').addEventListener('change', () => {
  const { value } = /** @type {HTMLSelectElement} */ (find('#org-choice'));
  const to = query();
  to.set('org', value);
  to.delete('build'); // it is of the other organization
  lookup.clear();
  history.pushState(null, '', `?${to}`);
  showAddress();
});
find('#sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = /** @type {HTMLInputElement} */ (find('#token'));
  const token = input.value.trim();
  input.value = '';
  if (!token) return;
  void signIn(token);
  find('#main').focus(); // the form is gone
});
find('#sign-out').addEventListener('click', () => {
  history.replaceState(null, '', location.pathname);
  signOut();
});
window.addEventListener('popstate', () => {
  if (!takeToken() && location.search !== shownQuery) showAddress();
});

let offered = ''; // the token of a link, while the reader is asked

/**
 * A link may bring a token, behind the #, which no server gets to see. The address and the history lose it before anything else
 * happens. Whoever is signed in is asked before it replaces the session.
 */
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return false;
  history.replaceState(null, '', location.pathname + location.search);
  const kept = sessionStorage.getItem(TOKEN);
  if (kept === null || kept === token) {
    void signIn(token);
    return true;
  }
  if (!api) void signIn(kept);
  offered = token;
  const dialog = /** @type {HTMLDialogElement} */ (find('#replace'));
  if (!dialog.open) dialog.showModal();
  return true;
}

find('#replace-no').addEventListener('click', () => /** @type {HTMLDialogElement} */ (find('#replace')).close());
find('#replace-yes').addEventListener('click', () => {
  const token = offered;
  /** @type {HTMLDialogElement} */ (find('#replace')).close();
  history.replaceState(null, '', location.pathname); // the organization on show was of the other token
  void signIn(token);
});
find('#replace').addEventListener('close', () => {
  offered = '';
});

window.addEventListener('hashchange', takeToken);

if (!takeToken()) {
  const token = sessionStorage.getItem(TOKEN);
  if (token) void signIn(token);
  else signOut();
}
