import { databaseAddress, jsonWebTokens, redact } from "./redact.ts";

/** Where something looks like a secret. Never the secret itself. */
export type Suspect = {
  readonly line: number;
  readonly column: number;
  /** What it looks like, or the setting whose value it is. */
  readonly kind: string;
  readonly length: number;
};

const kinds: readonly (readonly [string, RegExp])[] = [
  ["token of this gateway", /\bsd_[a-z]{2,4}_[\w-]{20,}/g],
  ["Mercado Libre access token", /\bAPP_USR-[\w-]{8,}/g],
  ["Mercado Libre refresh token", /\bTG-[\w-]{8,}/g],
  ["Airtable key", /\bpat\w{14}\.[0-9a-f]{16,}/g],
  ["Supabase key", /\bsbp_\w{16,}/g],
  ["Authorization header", /\b[Bb](?:earer|asic) +(?!\[redacted\])[\w.~+/=-]{12,}/g],
];

const withPassword = /^postgres(?:ql)?:\/\/[^@/:]+:[^@]+@/;

/** A value that is looked for as it is, and as base64, hex or a URL would have it. */
export type Known = { readonly name: string; readonly value: string };

const shortest = 8;

/** Looks through one line. */
export function suspectsIn(
  text: string,
  line: number,
  known: readonly Known[],
): readonly Suspect[] {
  const shapes = [
    ...kinds.flatMap(([kind, pattern]) =>
      [...text.matchAll(pattern)].map(({ 0: found, index }) => ({ kind, index, found })),
    ),
    ...jsonWebTokens(text).map(({ index, found }) => ({ kind: "JSON Web Token", index, found })),
    ...[...text.matchAll(databaseAddress)]
      .filter(([found]) => withPassword.test(found))
      .map(({ 0: found, index }) => ({ kind: "database address with a password", index, found })),
  ].map(({ kind, index, found }) => ({ line, column: index + 1, kind, length: found.length }));
  const values = known.flatMap(({ name, value }) =>
    formsOf(value).flatMap((form) => {
      const at = text.indexOf(form);
      return at === -1 ? [] : [{ line, column: at + 1, kind: name, length: form.length }];
    }),
  );
  const found = [...values, ...shapes];
  if (found.length > 0 || redact(text) === text) return found;
  return [
    {
      line,
      column: 1,
      kind: "secret in another encoding, or a field named like one",
      length: text.length,
    },
  ];
}

/** A secret in every form in which it could slip out. */
export function formsOf(secret: string): readonly string[] {
  if (secret.length < shortest) return [];
  const bytes = Buffer.from(secret);
  const forms = [
    secret,
    bytes.toString("base64").replace(/(?<!=)=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    encodeURIComponent(secret),
  ];
  return [...new Set(forms)];
}
