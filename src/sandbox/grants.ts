import { randomBytes } from "node:crypto";
import type { Provider } from "#src/providers/provider.ts";
import type { Seller } from "./sellers.ts";

type Grant = {
  readonly seller: Seller;
  access: string;
  refresh: string;
  /** Refresh tokens that were used up, with when. */
  readonly used: Map<string, number>;
};

type Issued = { readonly access: string; readonly refresh: string; readonly seller: Seller };
type Redeemed = Issued | "unknown" | "just_refreshed";

export type Grants = {
  issue(seller: Seller): Issued;
  /** Uses a refresh token up, as the profile says. */
  redeem(refresh: string): Redeemed;
  /** Whose live access token this is. */
  holder(access: string): Seller | undefined;
  addKey(key: string, seller: Seller): void;
  /** Ends every access token, as time would. */
  expireAccess(): void;
  revoke(sellerId: string): void;
  /** Ends the grant that a refresh or access token belongs to. */
  revokeToken(token: string): void;
  /** How many refresh tokens came that had been used up before. */
  reused(): number;
  /** How many grants there are. */
  live(): number;
};

const recentMs = 10_000;

type GrantOptions = {
  readonly profile: Provider;
  readonly accessSeconds: number;
  readonly now: () => number;
  /** A used refresh token that comes again ends its grant (RFC 9700 section 4.14.2). */
  readonly endsOnReuse?: boolean;
};

/** What a simulated provider remembers; in memory alone. */
export function createGrants(options: GrantOptions): Grants {
  return new SimulatedGrants(options);
}

class SimulatedGrants implements Grants {
  readonly #options: GrantOptions;
  readonly #prefix: string;
  readonly #grants = new Set<Grant>();
  /** By the refresh token that works, and by every one that was used up. */
  readonly #byRefresh = new Map<string, Grant>();
  /** Access tokens, also older ones that still work. */
  readonly #byAccess = new Map<string, { grant: Grant; endsAt: number }>();
  readonly #keys = new Map<string, Seller>();
  #reused = 0;

  constructor(options: GrantOptions) {
    this.#options = options;
    this.#prefix = options.profile.staticKeys?.prefixes[0] ?? "at_";
  }

  issue(seller: Seller): Issued {
    const grant: Grant = { seller, access: "", refresh: "", used: new Map() };
    this.#grants.add(grant);
    return this.#renew(grant);
  }

  redeem(refresh: string): Redeemed {
    const grant = this.#byRefresh.get(refresh);
    if (grant === undefined) return "unknown";
    if (grant.refresh === refresh) return this.#renew(grant);
    this.#reused += 1;
    if (this.#options.endsOnReuse === true) this.#remove(grant);
    const concedes = this.#options.profile.errors.some((rule) => rule.means === "just_refreshed");
    const usedAt = grant.used.get(refresh) ?? 0;
    return concedes && this.#options.now() - usedAt < recentMs ? "just_refreshed" : "unknown";
  }

  holder(access: string): Seller | undefined {
    const found = this.#byAccess.get(access);
    const isLive = found !== undefined && found.endsAt > this.#options.now();
    return isLive ? found.grant.seller : this.#keys.get(access);
  }

  addKey(key: string, seller: Seller): void {
    this.#keys.set(key, seller);
  }

  expireAccess(): void {
    this.#byAccess.clear();
  }

  revoke(sellerId: string): void {
    for (const grant of this.#grants) if (grant.seller.id === sellerId) this.#remove(grant);
  }

  revokeToken(known: string): void {
    const grant = this.#byRefresh.get(known) ?? this.#byAccess.get(known)?.grant;
    if (grant !== undefined) this.#remove(grant);
  }

  reused(): number {
    return this.#reused;
  }

  live(): number {
    return this.#grants.size;
  }

  #renew(grant: Grant): Issued {
    const { profile, accessSeconds, now } = this.#options;
    if (profile.refresh.endsOldAccessToken === true) this.#byAccess.delete(grant.access);
    grant.access = `${this.#prefix}${token()}`;
    this.#byAccess.set(grant.access, { grant, endsAt: now() + accessSeconds * 1000 });
    if (profile.refresh.singleUse || grant.refresh === "") {
      grant.used.set(grant.refresh, now());
      grant.refresh = `TG-${token()}`;
      this.#byRefresh.set(grant.refresh, grant);
    }
    return { seller: grant.seller, access: grant.access, refresh: grant.refresh };
  }

  #remove(grant: Grant): void {
    this.#grants.delete(grant);
    for (const refresh of [grant.refresh, ...grant.used.keys()]) this.#byRefresh.delete(refresh);
    for (const [access, found] of this.#byAccess) {
      if (found.grant === grant) this.#byAccess.delete(access);
    }
  }
}

function token(): string {
  return randomBytes(24).toString("base64url");
}
