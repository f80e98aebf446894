/** @import { Organization } from '#api' */

import { API, APIError } from './api.js';
import { BuildsPanel } from './builds.js';
import { DaysPanel } from './chart.js';
import { failure, find, h } from './dom.js';
import { SummaryPanel } from './summary.js';
import { TransactionsPanel } from './transactions.js';
import { Days, problemWith } from './window.js';

const TOKEN = 'harmont-billing-token';

/** @type {API | null} */
let api = null;
/** @type {Organization[]} */
let organizations = [];
/** @type {Organization | null} */
let organization = null;
let shownQuery = ''; // the query of the address whose data is shown
let days = Days.upToToday(30);
let organizationLoad = new AbortController(); // ended when another organization is shown
let windowLoad = new AbortController(); // ended when another window is shown
/** @type {Promise<unknown>} */
let buildsLoaded = Promise.resolve();

const summary = new SummaryPanel();
const chart = new DaysPanel();
const builds = new BuildsPanel();
const transactions = new TransactionsPanel((lease) => void showLease(lease));

const query = () => new URLSearchParams(location.search);

/** @param {'signed-out' | 'no-access' | 'failed' | 'usage' | ''} name what to show, nothing while it is not known */
function show(name) {
  for (const id of ['signed-out', 'no-access', 'failed', 'usage']) find(`#${id}`).hidden = id !== name;
  find('#sign-out').hidden = name === 'signed-out';
  find('#org').hidden = name !== 'usage';
}

/** @param {string} [problem] why */
function signOut(problem = '') {
  organizationLoad.abort();
  windowLoad.abort();
  api = null;
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
  days = Days.from(query());
  const slug = query().get('org');
  const found = slug === null ? organizations[0] : organizations.find((o) => o.slug === slug);
  if (!found) {
    noAccess(slug);
    return;
  }
  organization = found;
  loadAll();
}

/** @param {string | null} slug */
function noAccess(slug) {
  organizationLoad.abort();
  windowLoad.abort();
  find('#no-access-text').textContent = slug === null ? 'This token sees no organization.'
    : `There is no organization ${slug}, or this token may not see it.`;
  find('#no-access-choices').replaceChildren(...organizations.map((o) => h('a', { href: `?org=${encodeURIComponent(o.slug)}` }, o.name)));
  show('no-access');
}

function pushAddress() {
  const to = query();
  if (organization) to.set('org', organization.slug);
  days.writeTo(to);
  history.pushState(null, '', `?${to}`);
  shownQuery = location.search;
}

function loadAll() {
  organizationLoad.abort();
  organizationLoad = new AbortController();
  const { signal } = organizationLoad;
  const org = /** @type {Organization} */ (organization);
  show('usage');
  document.title = `${org.name} · Usage · Harmont Billing`;
  find('#org-name').textContent = org.name;
  const choice = /** @type {HTMLSelectElement} */ (find('#org-choice'));
  choice.replaceChildren(...organizations.map((o) => h('option', { value: o.slug }, o.name)));
  choice.value = org.slug;
  choice.hidden = organizations.length < 2;
  find('#org-name').hidden = organizations.length >= 2;
  loadWindow();
  const load = () => attempt(transactions.panel, () => transactions.load(/** @type {API} */ (api), org.slug, signal), signal, load);
  void load();
}

function loadWindow() {
  windowLoad.abort();
  windowLoad = new AbortController();
  const { signal } = windowLoad;
  const org = /** @type {Organization} */ (organization).slug, current = /** @type {API} */ (api), shown = days, { window } = days;
  const name = `${org}-${days.first}-to-${days.last}`;
  for (const button of document.querySelectorAll('[data-days]')) {
    button.setAttribute('aria-pressed', String(Number(/** @type {HTMLElement} */ (button).dataset.days) === days.preset));
  }
  showCustom(days.preset === 0);
  /** @type {HTMLInputElement} */ (find('#from')).value = days.first;
  /** @type {HTMLInputElement} */ (find('#to')).value = days.last;
  const loadSummary = () => attempt(summary.panel, () => summary.load(current, org, shown, signal), signal, loadSummary);
  const loadDays = () => attempt(chart.panel, () => chart.load(() => current.series(org, window, signal), shown, `${name}-days.csv`, signal), signal, loadDays);
  const loadBuilds = () => attempt(builds.panel, () => builds.load(current.breakdown(org, window, signal), `${name}-builds.csv`), signal, loadBuilds);
  // The browser's timeline tells how long readers wait.
  void Promise.all([loadSummary(), loadDays()]).then(() => performance.mark('figures'));
  buildsLoaded = loadBuilds();
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
    else panel.failed(error, retry);
    if (!(error instanceof APIError)) throw error;
  }
}

/** @param {import('#api').LeaseRecord} lease */
async function showLease(lease) {
  if (!days.includes(lease.started_at)) {
    const date = lease.started_at.slice(0, 10);
    days = new Days(date, date);
    pushAddress();
    loadWindow();
  }
  const { signal } = windowLoad;
  await buildsLoaded;
  if (!signal.aborted && !builds.reveal(lease)) find('#builds').scrollIntoView();
}

/** @param {boolean} shown */
function showCustom(shown) {
  find('#custom').hidden = !shown;
  const button = find('[data-custom]');
  button.setAttribute('aria-expanded', String(shown));
  button.setAttribute('aria-pressed', String(days.preset === 0));
}

for (const button of document.querySelectorAll('[data-days]')) {
  button.addEventListener('click', () => {
    days = Days.upToToday(Number(/** @type {HTMLElement} */ (button).dataset.days));
    pushAddress();
    loadWindow();
  });
}
find('[data-custom]').addEventListener('click', () => {
  showCustom(find('#custom').hidden === true);
  find('#from').focus();
});
find('#range').addEventListener('submit', (event) => {
  event.preventDefault();
  const first = /** @type {HTMLInputElement} */ (find('#from')).value, last = /** @type {HTMLInputElement} */ (find('#to')).value;
  const problem = find('#range-problem');
  problem.textContent = problemWith(first, last);
  problem.hidden = problem.textContent === '';
  if (!problem.hidden) return;
  days = new Days(first, last);
  pushAddress();
  loadWindow();
});
find('#org-choice').addEventListener('change', () => {
  const { value } = /** @type {HTMLSelectElement} */ (find('#org-choice'));
  organization = organizations.find((o) => o.slug === value) ?? null;
  pushAddress();
  loadAll();
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
