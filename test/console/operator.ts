import { type Role } from "#src/people/operator-store.ts";
import { createOperatorLink } from "#src/people/operators.ts";
import { type Visitor, newVisitor } from "#test/support/browser-like.ts";
import type { World } from "#test/support/world.ts";

/** A browser at the console of a world. */
export type AtConsole = {
  readonly visitor: Visitor;
  /** The text of a room, by its path below `/console/`. */
  readonly read: (room: string) => Promise<string>;
  /** Presses a button: posts its fields with the browser's form token. */
  readonly press: (path: string, fields?: Readonly<Record<string, string>>) => Promise<Response>;
};

/** Opens the console with a link made for the role. */
export async function openConsole(
  { app, url }: Pick<World, "app" | "url">,
  role: Role = "operator",
  subject = "ana",
): Promise<AtConsole> {
  const link = { page: "console", role, subject } as const;
  const visitor = newVisitor();
  await visitor.post((await createOperatorLink({ ...app, publicUrl: url }, link)).url, {});
  const read = async (room: string) => (await visitor.get(`${url}/console/${room}`)).text();
  const token = /name="form_token" value="([^"]+)"/.exec(await read("overview"))?.[1] ?? "";
  return {
    visitor,
    read,
    press: (path, fields = {}) =>
      visitor.post(`${url}/console/${path}`, { ...fields, form_token: token }),
  };
}

/** Every button of the console: where it is posted, with fields that mean something or nothing. */
export const buttons: readonly (readonly [
  path: string,
  fields: Readonly<Record<string, string>>,
])[] = [
  ["switch", { subject: "mercadolibre", state: "off", back: "tools" }],
  ["tools/decide", { upstream: "mercadolibre", hash: "0".repeat(64), state: "approved" }],
  ["tools/release", { upstream: "mercadolibre", tool: "list_orders", seen: "0" }],
  ["tools/hold", { upstream: "mercadolibre", tool: "list_orders" }],
  ["approvals/answer", { id: "01a22bee-ed2a-78b7-9b6a-a3308da0241e", extent: "once" }],
  ["approvals/withdraw", { id: "01a22bee-ed2a-78b7-9b6a-a3308da0241e" }],
  ["alerts/acknowledge", { kind: "upstream_failing", subject: "mercadolibre" }],
  ["alerts/test", {}],
  ["accounts/01a22bee-ed2a-78b7-9b6a-a3308da0241e/refresh", {}],
  ["check", { extent: "quick" }],
  ["revoke", { kind: "account", id: "mercadolibre:100200300" }],
];

/** Every room of the console without the edge extension. */
export const consoleRooms = [
  "overview",
  "calls",
  "accounts",
  "agents",
  "tools",
  "approvals",
  "alerts",
  "audit",
  "check",
  "settings",
] as const;
