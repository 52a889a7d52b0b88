import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseProblem } from "#db/problem.ts";
import { connectable } from "#src/accounts/registration.ts";
import { liveAccounts } from "#src/accounts/store.ts";
import { openJournal } from "#src/accounts/journal/journal.ts";
import { type RefreshParts, createRefreshParts } from "#src/accounts/refresh/deps.ts";
import { mintSession } from "#src/oauth-server/sessions/session.ts";
import { type App, openApp } from "#src/app.ts";
import type { Provider } from "#src/providers/provider.ts";
import { airtable } from "#src/providers/airtable.ts";
import { mercadolibre } from "#src/providers/mercadolibre.ts";
import type { Environment } from "#src/config/read.ts";
import { Failure } from "#src/failure.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { type Sandbox, startSandbox } from "#src/sandbox/sandbox.ts";
import { type Gateway, startGateway } from "#src/gateway/gateway.ts";
import { newHome, onSignals } from "./abandoned.ts";
import { type Receiver, type SilentUpstream, startReceiver, startSilentUpstream } from "./peers.ts";
import { type Visitor, newVisitor, walkToCallback } from "./visitor.ts";

/**
 * This binary with a deployment's settings, on loopback: a database of its own, simulated providers that behave as
 * the configured profiles say, and nothing of any real seller.
 */
export type SelfTest = AsyncDisposable & {
  readonly app: App & RefreshParts;
  readonly gateway: Gateway;
  readonly url: string;
  readonly sandbox: Sandbox;
  readonly silent: SilentUpstream;
  readonly alerts: Receiver;
  readonly profiles: readonly Provider[];
  /** What was logged so far. */
  log(): string;
  /** Settings that must never be seen anywhere. */
  readonly secrets: Readonly<Record<string, string>>;
};

type Deployment = Pick<App, "catalog" | "config" | "publicUrl">;

export const silentName = "rehearsal-silent";
const accessSeconds = 3600;

/** Failures: `home_unusable` where no PostgreSQL is bundled or none can run in the temporary folder. */
export async function openSelfTest(
  deployment: Deployment,
  environment: Environment,
  runtime: Runtime,
): Promise<SelfTest> {
  if (runtime.installPostgres === undefined) {
    throw new Failure("home_unusable", `There is no PostgreSQL inside on ${runtime.name}`);
  }
  const stack = new AsyncDisposableStack();
  const opening = Promise.withResolvers<void>();
  // What is being started can be stopped when it has started.
  stack.defer(onSignals(() => opening.promise.then(() => stack.disposeAsync())));
  try {
    return await openOn(stack, { deployment, environment, runtime }).finally(opening.resolve);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

type SelfTestOptions = {
  readonly deployment: Deployment;
  readonly environment: Environment;
  readonly runtime: Runtime;
};

async function openOn(stack: AsyncDisposableStack, opening: SelfTestOptions): Promise<SelfTest> {
  const { deployment, environment, runtime } = opening;
  const home = await newHome();
  stack.defer(() => rm(home, { recursive: true, force: true }));
  const profiles = profilesOf(deployment);
  const { sandbox, silent, alerts } = startOutside(deployment, runtime, stack);
  const secrets = selfTestSecrets();
  const written: string[] = [];
  const opened = await openApp({
    runtime,
    role: "gateway",
    environment: {
      ...selfTested(environment, sandbox),
      ...secrets,
      SMARTDASH_HOME: home,
      SMARTDASH_UPSTREAMS: withSilent(sandbox, silent),
      SMARTDASH_DEFAULT_UPSTREAM: profiles[0]?.name,
      ALERT_WEBHOOK_URL: `${alerts.url}/hook`,
    },
    write: (text) => written.push(text) > 0,
  }).catch((error: unknown) => {
    throw withLastWords(home, error);
  });
  stack.defer(() => opened.close());
  const gateway = await startGateway(opened.app, runtime);
  stack.defer(() => gateway.stop());
  const { publicUrl } = gateway;
  // Beside the gateway, like a command.
  const app = { ...opened.app, publicUrl, replica: randomUUID() };
  const journal = await openJournal(app);
  stack.defer(() => journal.holders.leave());
  return {
    app: { ...app, ...createRefreshParts(app, journal) },
    gateway,
    url: publicUrl,
    sandbox,
    silent,
    alerts,
    profiles,
    log() {
      opened.app.log.flush();
      return written.join("");
    },
    secrets,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The log of a PostgreSQL that did not start is taken away with its folder: what it says last is told. */
function withLastWords(home: string, error: unknown): unknown {
  if (!(error instanceof DatabaseProblem)) return error;
  const log = join(home, "postgres.log");
  const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  const last = lines.filter((line) => line.trim() !== "").slice(-mostLastLines);
  const words = [error.message, ...last].join("; ");
  return new Failure(error.code, words, {
    hint: "Set TMPDIR to a folder that allows programs to run, on a system with /bin/sh and glibc.",
  });
}

const mostLastLines = 2;

function profilesOf(deployment: Deployment): readonly Provider[] {
  const configured = connectable(deployment).map(({ provider }) => provider);
  return configured.length === 0 ? [mercadolibre, airtable] : configured;
}

/** Everything that a gateway talks to. */
function startOutside(deployment: Deployment, runtime: Runtime, stack: AsyncDisposableStack) {
  const profiles = profilesOf(deployment);
  const definitions = deployment.config.providers;
  const sandbox = startSandbox(runtime, { accessSeconds, now: Date.now, profiles, definitions });
  stack.defer(() => sandbox.stop());
  const silent = startSilentUpstream(runtime);
  stack.defer(() => silent.stop());
  const alerts = startReceiver(runtime);
  stack.defer(() => alerts.stop());
  return { sandbox, silent, alerts };
}

/** The deployment's limits and choices; its database, addresses, keys and sinks stay out. */
function selfTested(environment: Environment, sandbox: Sandbox): Environment {
  const {
    DATABASE_URL: _,
    PUBLIC_URL: __,
    SMARTDASH_JOURNAL: ___,
    METRICS_PORT: ____,
    ...rest
  } = environment;
  const without = Object.entries(rest).filter(
    ([name]) => !/^(ALERT_|OTEL_|TLS_|SMARTDASH_(EDGE|FLEET)|.*_REDIRECT_URI$)/.test(name),
  );
  return {
    ...Object.fromEntries(without),
    ...sandbox.environment,
    HOST: "127.0.0.1",
    PORT: "0",
    LOG_LEVEL: "debug",
    SMARTDASH_SIGNUP: "open",
    SMARTDASH_CLIENT_DOCUMENTS: "bundled",
    DRAIN_MS: "200",
    // Its own calls are many and alike.
    SMARTDASH_LIMITS: "off",
    SMARTDASH_BUDGETS: "off",
    SMARTDASH_LOOPS: "off",
    // What changes something is tried too; only the simulated shop is changed.
    MELI_SHOP_PROFILE: "sell",
  };
}

function selfTestSecrets() {
  const key = () => randomBytes(32).toString("base64");
  return {
    ENCRYPTION_KEY: key(),
    SECRET_KEY: key(),
    METRICS_TOKEN: key(),
    ALERT_WEBHOOK_SECRET: `whsec_${key()}`,
  };
}

function withSilent(sandbox: Sandbox, silent: SilentUpstream): string {
  const upstreams: unknown = JSON.parse(sandbox.environment["SMARTDASH_UPSTREAMS"] ?? "{}");
  return JSON.stringify({
    ...Object(upstreams),
    [silentName]: { url: silent.url, credential: "none" },
  });
}

/** A seller who has connected, and a bearer for it. */
export type Connected = {
  readonly visitor: Visitor;
  readonly accountId: string;
  readonly personId: string;
  readonly bearer: string;
};

const usualSeller = "100200300";

/** Walks the way of a person's browser, of one that is signed in already where it is given. Failures: an error whose text names the step. */
export async function connect(
  { app, url }: Pick<SelfTest, "app" | "url">,
  wish: { readonly provider: string; readonly seller?: string; readonly visitor?: Visitor },
): Promise<Connected> {
  const { provider, seller = usualSeller, visitor = newVisitor() } = wish;
  const callback = await walkToCallback(visitor, { url, provider, seller });
  const done = await visitor.get(callback);
  if (done.status !== 303) throw new Error(`the callback answered ${done.status}`);
  const account = (await liveAccounts(app.db, 50)).find(
    (each) => each.provider === provider && each.sellerId.endsWith(seller),
  );
  if (account === undefined) throw new Error("no account was stored");
  const { id: accountId, personId } = account;
  const { bearer } = await mintSession(app, { accountId, personId, platform: null });
  return { visitor, accountId, personId, bearer: bearer.reveal() };
}
