/**
 * Lets the browser draw and answer the reader before the work goes on. A timer would do the same, but browsers delay timers, and those of
 * hidden pages by a second.
 * @returns {Promise<void>}
 */
export function pause() {
  return new Promise((resume) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resume();
    };
    port2.postMessage(null);
  });
}
