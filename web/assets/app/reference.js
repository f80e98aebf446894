import { TOKEN } from './session.js';

// The API reference is Swagger UI over the contract that this server serves.

const problem = /** @type {HTMLElement} */ (document.querySelector('#problem'));

/**
 * Swagger UI's own arrangement has a second <main>, and a choice among one server.
 * @param {any} system
 */
function arrangement({ React: { createElement } }) {
  /** @param {{ getComponent: (name: string, container?: boolean) => unknown }} props */
  const PageLayout = ({ getComponent }) => createElement('div', { className: 'swagger-ui' },
    createElement(getComponent('SvgAssets')),
    createElement(getComponent('errors', true)),
    createElement(getComponent('InfoContainer', true)),
    createElement(getComponent('AuthorizeBtnContainer', true)),
    createElement(getComponent('operations', true)),
    createElement(getComponent('Models', true)));
  return { components: { PageLayout } };
}

/**
 * Opens the call that the address names: #/billing/getBillingBalance. Swagger UI's own deep links put a link into each call's button, which
 * a screen reader cannot tell apart.
 * @param {any} swagger
 * @param {any} spec
 */
function showCall(swagger, spec) {
  const [, tag, call] = /^#\/([^/]+)\/([^/]+)$/.exec(location.hash) ?? [];
  const paths = /** @type {Record<string, { operationId?: string, tags?: string[] }>[]} */ (Object.values(spec.paths));
  const known = paths.some((path) => Object.values(path).some(({ operationId, tags }) => operationId === call && tags?.includes(tag ?? '')));
  if (!known) return;
  swagger.getSystem().layoutActions.show(['operations', tag, call], true);
  const focus = () => {
    const element = document.querySelector(`#operations-${tag}-${call}.is-open`);
    if (!element) {
      requestAnimationFrame(focus); // it is not drawn yet
      return;
    }
    element.scrollIntoView();
    element.querySelector('button')?.focus({ preventScroll: true });
  };
  focus();
}

async function start() {
  const response = await fetch('openapi.json');
  if (!response.ok) throw new Error(`openapi.json: ${response.status}`);
  const spec = await response.json();
  // Calls go to the server that this page came from, also below a path that a proxy put before it.
  spec.servers = [{ url: new URL('.', document.baseURI).href.replace(/\/$/, '') }];
  // The title above is of the first level.
  spec.info.description = spec.info.description.replaceAll(/^###/gm, '##');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const paint = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.addEventListener('change', paint);
  paint();
  const swagger = /** @type {any} */ (window).SwaggerUIBundle({
    spec,
    dom_id: '#reference',
    plugins: [arrangement],
    layout: 'PageLayout',
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    validatorUrl: null,
    syntaxHighlight: false,
    onComplete: () => showCall(swagger, spec),
  });
  window.addEventListener('hashchange', () => showCall(swagger, spec));
  // Whoever is signed in on the usage page is so here.
  const token = sessionStorage.getItem(TOKEN);
  if (token) swagger.preauthorizeApiKey('bearerAuth', token);
}

start().catch((error) => {
  problem.textContent = `The contract cannot be shown. ${error.message}`;
  problem.hidden = false;
});
