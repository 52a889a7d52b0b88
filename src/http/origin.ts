import { Failure } from "#src/failure.ts";

/** Which Host and Origin values are ours. */
export type FrontDoor = {
  /**
   * `isDeclared`: the request is from a page that may ask this address (see `cors.ts`).
   * Failures: `host_refused`, `origin_refused`.
   */
  check(request: Request, isDeclared: boolean): void;
};

type FrontDoorOptions = {
  readonly publicUrl: string;
  readonly allowedHosts: readonly string[];
  /** The port we listen on: loopback names with it are ours too. */
  readonly port: number;
};

/** Exact comparison with a fixed list, before anything else is looked at (DNS rebinding, CSRF). */
export function createFrontDoor(options: FrontDoorOptions): FrontDoor {
  const loopback = ["localhost", "127.0.0.1", "[::1]"].map((name) => `${name}:${options.port}`);
  const hosts = new Set([new URL(options.publicUrl).host, ...loopback, ...options.allowedHosts]);
  const origins = new Set([options.publicUrl, ...loopback.map((host) => `http://${host}`)]);
  return {
    check(request, isDeclared) {
      const host = request.headers.get("host");
      if (host === null || !(hosts.has(host) || hosts.has(host.toLowerCase()))) {
        throw new Failure("host_refused", undefined, {
          hint: "PUBLIC_URL and ALLOWED_HOSTS say which names are answered; a proxy has to hand the Host on.",
        });
      }
      const origin = request.headers.get("origin");
      const isOurs = origin === null || origins.has(origin) || isOwnForm(request, origin);
      if (!isOurs && !isDeclared) {
        throw new Failure("origin_refused");
      }
    },
  };
}

/** A page of ours without a referrer posts with `Origin: null`; only the browser itself can say where from. */
function isOwnForm(request: Request, origin: string): boolean {
  return origin === "null" && request.headers.get("sec-fetch-site") === "same-origin";
}
