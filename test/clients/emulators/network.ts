/** How a client reaches the gateway; a test may stand in between. */
export type Network = (url: string, init?: RequestInit) => Promise<Response>;

/** A client stops here and tells its person that it cannot connect. */
export class GivesUp extends Error {
  override readonly name = "GivesUp";
}

/** Clients do not follow redirects to other hosts with what they send; here they follow none at all. */
export const direct: Network = (url, init = {}) => fetch(url, { redirect: "manual", ...init });
