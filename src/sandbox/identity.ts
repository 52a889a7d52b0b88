import type { Provider } from "#src/providers/provider.ts";
import type { Seller } from "./sellers.ts";

/** What a simulated identity endpoint says of a seller, in the shape that the profile reads. */
export function identityOf(profile: Provider, seller: Seller): object {
  const rule = profile.identity;
  const email = `${seller.name.toLowerCase()}@example.com`;
  const about = { nickname: seller.name, site_id: seller.site, email };
  if (rule.from === "token") return { id: Number(seller.id), ...about };
  const id = `usr${seller.id}`;
  // `0.id`: a list, as of organizations.
  if (rule.idField.startsWith("0.")) return [{ id, name: seller.name }];
  return { ...about, ...placed(rule.idField.split("."), id) };
}

/** `user`, `id` → `{ user: { id } }` */
function placed([key = "id", ...rest]: readonly string[], value: string): object {
  return { [key]: rest.length === 0 ? value : placed(rest, value) };
}
