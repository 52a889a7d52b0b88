import { loadConfig } from "#src/config/load.ts";
import { Glob } from "bun";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { clientConfigurations } from "#src/pages/client-configuration.ts";
import { builtinProviders } from "#src/upstreams/catalog.ts";
import { type ErrorRule, type Provider, standardErrors } from "#src/providers/provider.ts";
import { builtinUpstreams } from "#src/upstreams/builtin.ts";
import type { Setting } from "#src/config/setting.ts";
import { settings } from "#src/config/settings.ts";
import { failures } from "#src/failure.ts";
import { commandsTable, findingSections } from "./docs-commands.ts";
import { code, coded, table } from "./markdown.ts";

/** Rewrites the generated parts of every document; `test/documents.test.ts` compares them. */
const root = join(import.meta.dir, "..");

const generators: Readonly<Record<string, () => string>> = {
  settings: settingsTable,
  errors: errorSections,
  providers: () => builtinProviders.map(providerSection).join("\n\n"),
  "provider-names": providerNames,
  "standard-errors": () => dialect(standardErrors),
  upstreams: upstreamsTable,
  commands: commandsTable,
  checks: findingSections,
  nginx: () => fileAs("nginx", "nginx.conf"),
  unit: () => fileAs("ini", "smartdash.service"),
  timer: () =>
    ["smartdash-cleanup.service", "smartdash-cleanup.timer"]
      .map((name) => fileAs("ini", name))
      .join("\n\n"),
  clients: clientSections,
};

export const generatedParts = Object.keys(generators);

/** `text` with everything between `<!-- generated: NAME -->` and `<!-- end -->` written anew. */
export function withGenerated(text: string): string {
  return text.replace(
    /(<!-- generated: ([\w-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const generate = generators[name];
      if (generate === undefined) throw new Error(`nothing generates '${name}'`);
      return `${begin}\n${generate().trim()}\n\n${end}`;
    },
  );
}

/** Every document of the repository, relative to its root. */
export function documents(): readonly string[] {
  const inside = (pattern: string) => [...new Glob(pattern).scanSync({ cwd: root })];
  return inside("*.md").concat(inside("docs/**/*.md")).toSorted();
}

/** A file of scripts/deploy, as it is. */
function fileAs(language: string, name: string): string {
  const text = readFileSync(join(root, "scripts/deploy", name), "utf8").trim();
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function settingsTable(): string {
  const rows = Object.entries<Setting>(settings).map(([name, setting]) => {
    const value = setting.default === undefined ? "" : code(setting.default);
    const kind =
      setting.choices === undefined ? setting.kind : setting.choices.map(code).join(", ");
    return [
      code(name),
      kind,
      value,
      setting.secret === true ? `${setting.doc} Secret.` : setting.doc,
    ];
  });
  return table(["Setting", "Kind", "Default", "Meaning"], rows);
}

function errorSections(): string {
  const internalError = -32_603;
  return Object.entries(failures)
    .map(([name, meaning]) => {
      const rpc = "rpc" in meaning ? meaning.rpc : internalError;
      const exit = "exit" in meaning ? `, exit code ${meaning.exit}` : "";
      return `### ${name}\n\n${meaning.doc}\n\nHTTP ${meaning.http}, JSON-RPC ${rpc}${exit}.`;
    })
    .join("\n\n");
}

const authentication: Readonly<Record<Provider["clientAuthentication"], string>> = {
  body: "client id and secret in the form body",
  basic: "HTTP Basic",
  basic_if_secret: "HTTP Basic when there is a client secret, else the client id alone",
  none: "the client id alone",
};

const proofKey: Readonly<Record<Provider["pkce"], string>> = {
  required: "always (S256)",
  switchable: "S256 unless the setting says `off`, as the application is configured",
  off: "never",
};

function providerSection(provider: Provider): string {
  const { name, title, endpoints, refresh, sites, staticKeys } = provider;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Authorization endpoint", code(endpoints.authorize)],
    ["Token endpoint", code(endpoints.token)],
    ["Identity endpoint", coded(endpoints.identity)],
    ["Issuer", coded(provider.issuer)],
    [
      "Revocation",
      provider.revocation === undefined ? undefined : revocationOf(provider.revocation),
    ],
    ["Client authentication", authentication[provider.clientAuthentication]],
    ["PKCE", proofKey[provider.pkce]],
    ["Scopes asked for", provider.scopes.map(code).join(" ") || "the application's own"],
    ["Further parameters", coded(String(new URLSearchParams(provider.authorizeParameters)))],
    ["Whose account it is", identityOf(provider.identity)],
    ["Refresh token", refreshTokenOf(refresh)],
    ["Access token", accessTokenOf(refresh)],
    ["Keys that can be pasted", begun(staticKeys?.prefixes)],
    ["Keys that no longer work", begun(staticKeys?.retiredPrefixes)],
    ["Country sites", sites === undefined ? undefined : sitesOf(sites, provider.defaultSite)],
  ];
  const rows = facts.flatMap(([fact, value]) => (value === undefined ? [] : [[fact, value]]));
  const errors =
    provider.errors.length === 0
      ? "Its errors are the standard ones."
      : `Its own errors, before the standard ones:\n\n${dialect(provider.errors)}`;
  return `### ${title} (\`${name}\`)\n\n${table(["Fact", "Value"], rows)}\n\n${errors}`;
}

function begun(prefixes: readonly string[] | undefined): string | undefined {
  return prefixes?.map((prefix) => code(`${prefix}…`)).join(", ");
}

function revocationOf({ how, url }: NonNullable<Provider["revocation"]>): string {
  if (how === "by_hand") return `by the person, at ${code(url)}`;
  const method = how === "rfc7009" ? "RFC 7009" : "DELETE with the account's access token";
  return `${method} at ${code(url)}`;
}

function identityOf(rule: Provider["identity"]): string {
  if (rule.from === "token") return `${code(rule.idField)} of the token answer`;
  const label = rule.labelField === undefined ? "" : `, shown as ${code(rule.labelField)}`;
  return `${code(rule.idField)} of the identity endpoint${label}`;
}

function refreshTokenOf({
  singleUse,
  refreshTokenDays,
  expiresInField,
}: Provider["refresh"]): string {
  const use = singleUse
    ? "single use: each refresh replaces it"
    : "kept when the answer brings none";
  const days = refreshTokenDays === undefined ? "" : `; ${refreshTokenDays} days`;
  return `${use}${days}${expiresInField === undefined ? "" : `, or what ${code(expiresInField)} says`}`;
}

function accessTokenOf({
  defaultAccessSeconds,
  endsOldAccessToken,
  idleDays,
}: Provider["refresh"]) {
  const life = `${code("expires_in")} of the answer, else ${defaultAccessSeconds} s`;
  const old = endsOldAccessToken === true ? "; a refresh ends the old one at once" : "";
  return `${life}${old}${idleDays === undefined ? "" : `; the connection is forgotten after ${idleDays} days without a call`}`;
}

function sitesOf(sites: Readonly<Record<string, string>>, standard: string | undefined): string {
  const list = Object.entries(sites).map(([site, host]) => `${site} ${code(host)}`);
  return `${list.join(", ")}; ${standard ?? "none"} when a link names none`;
}

const meanings: Readonly<Record<ErrorRule["means"], string>> = {
  dead: "the person has to connect again",
  application_refused: "we are refused as an application; the account is kept",
  busy: "later; the account is kept",
  just_refreshed: "somebody else refreshed: the stored credential is read again",
  broken: "no verdict; later",
};

function dialect(rules: readonly ErrorRule[]): string {
  const rows = rules.map(({ status, code: error, text, means }) => [
    status === undefined ? "any" : String(status),
    error === undefined ? (text === undefined ? "any" : `text ${code(text)}`) : code(error),
    `${means}: ${meanings[means]}`,
  ]);
  return table(["HTTP status", "Error", "Means"], rows);
}

function providerNames(): string {
  const rows = builtinProviders.map(({ name, title, pkce }) => {
    const own = Object.entries<Setting>(settings).filter(([, { doc }]) =>
      doc.startsWith(`${title}:`),
    );
    const names = own.filter(([setting]) => /_(CLIENT_ID|CLIENT_SECRET)$/.test(setting));
    return [title, code(name), names.map(([setting]) => code(setting)).join(", "), pkce];
  });
  return table(["Provider", "Name", "Its settings", "PKCE"], rows);
}

function upstreamsTable(): string {
  const { config } = loadConfig({ SMARTDASH_EDGE: "on" });
  const rows = builtinUpstreams({ ...config, supabase: { readOnly: true } }).map(
    ({ name, url, credential }) => [
      code(name),
      code(url),
      credential.kind === "account"
        ? `an account at ${code(credential.provider)}`
        : credential.kind,
    ],
  );
  return table(["Upstream", "MCP server, or API", "Credential"], rows);
}

function clientSections(): string {
  const target = {
    name: "mercadolibre",
    url: "https://mcp.example.com/mcp/mercadolibre",
    bearer: "sd_ses_…",
  };
  const sections = clientConfigurations(target).map(({ client, where, text }) => {
    const place = where === undefined ? "In a shell:" : `In ${code(where)}:`;
    return `### ${client}\n\n${place}\n\n\`\`\`text\n${text}\n\`\`\``;
  });
  return sections.join("\n\n");
}

if (import.meta.main) {
  for (const path of documents()) {
    const file = Bun.file(join(root, path));
    const text = await file.text();
    const current = withGenerated(text);
    if (current !== text) await Bun.write(file, current);
  }
}
