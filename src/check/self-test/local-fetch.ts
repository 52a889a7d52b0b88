/** `fetch` on this machine: not through HTTP_PROXY, redirects not followed, ten seconds. */
export function localFetch(url: string, init: RequestInit = {}): Promise<Response> {
  // `proxy` is Bun's own.
  const options: RequestInit & { proxy: false } = {
    redirect: "manual",
    signal: AbortSignal.timeout(limitMs),
    ...init,
    proxy: false,
  };
  return fetch(url, options);
}

const limitMs = 10_000;
