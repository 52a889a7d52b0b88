import { randomBytes } from "node:crypto";
import type { Provider } from "#src/catalog/provider.ts";
import type { Seller } from "./sellers.ts";

type Grant = {
  readonly seller: Seller;
  access: string;
  accessEndsAt: number;
  refresh: string;
  /** Refresh tokens that were used up, with when. */
  readonly used: Map<string, number>;
};

export type Issued = { readonly access: string; readonly refresh: string; readonly seller: Seller };
export type Redeemed = Issued | "unknown" | "just_refreshed";

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
  readonly reused: () => number;
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
  const { profile, accessSeconds, now } = options;
  let reused = 0;
  const grants: Grant[] = [];
  const older = new Map<string, { seller: Seller; endsAt: number }>();
  const keys = new Map<string, Seller>();
  const concedes = profile.errors.some((rule) => rule.means === "just_refreshed");
  const prefix = profile.staticKeys?.prefixes[0] ?? "at_";

  function renew(grant: Grant): Issued {
    if (profile.refresh.endsOldAccessToken !== true) {
      older.set(grant.access, { seller: grant.seller, endsAt: grant.accessEndsAt });
    }
    grant.access = `${prefix}${token()}`;
    grant.accessEndsAt = now() + accessSeconds * 1000;
    if (profile.refresh.singleUse) {
      grant.used.set(grant.refresh, now());
      grant.refresh = `TG-${token()}`;
    }
    return grant;
  }

  function remove(grant: Grant): void {
    grants.splice(grants.indexOf(grant), 1);
    older.forEach(({ seller }, access) => {
      if (seller.id === grant.seller.id) older.delete(access);
    });
  }

  return {
    issue(seller) {
      const access = `${prefix}${token()}`;
      const accessEndsAt = now() + accessSeconds * 1000;
      const refresh = `TG-${token()}`;
      grants.push({ seller, access, accessEndsAt, refresh, used: new Map() });
      return { seller, access, refresh };
    },
    redeem(refresh) {
      const current = grants.find((grant) => grant.refresh === refresh);
      if (current !== undefined) return renew(current);
      const owner = grants.find(({ used }) => used.has(refresh));
      const usedAt = owner?.used.get(refresh) ?? 0;
      if (owner !== undefined) reused += 1;
      if (owner !== undefined && options.endsOnReuse === true) remove(owner);
      return concedes && now() - usedAt < recentMs ? "just_refreshed" : "unknown";
    },
    holder(access) {
      const current = grants.find((grant) => grant.access === access && grant.accessEndsAt > now());
      const old = older.get(access);
      const isOldLive = old !== undefined && old.endsAt > now();
      return current?.seller ?? (isOldLive ? old.seller : undefined) ?? keys.get(access);
    },
    addKey: (key, seller) => void keys.set(key, seller),
    expireAccess() {
      older.clear();
      for (const grant of grants) grant.accessEndsAt = 0;
    },
    revoke(sellerId) {
      for (const grant of grants.filter(({ seller }) => seller.id === sellerId)) remove(grant);
    },
    revokeToken(known) {
      const found = grants.find((grant) => grant.refresh === known || grant.access === known);
      if (found !== undefined) remove(found);
    },
    reused: () => reused,
  };
}

function token(): string {
  return randomBytes(24).toString("base64url");
}
