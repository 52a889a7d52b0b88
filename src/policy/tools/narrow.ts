import type { App } from "#src/app.ts";
import type { ApplyRevocations } from "#src/bus.ts";
import { isObject } from "#src/json.ts";
import { Failure } from "#src/failure.ts";
import { policiesOfGrant, policyChanged } from "#src/oauth-server/caller.ts";
import { narrowingKeyOf, policyKeyOf } from "#src/oauth-server/grants/consent.ts";
import { type Grant, openGrantOf } from "#src/oauth-server/grants/store.ts";
import { isToolPattern } from "#src/upstreams/tool-rules.ts";
import { packTool } from "#src/upstreams/tools/tool-servers.ts";
import type { Upstream } from "#src/upstreams/upstream.ts";
import { timely } from "#src/clock.ts";
import type { Definitions } from "./definitions.ts";
import { approvedDefinitions, saveNarrowing, shownTools } from "./narrow-store.ts";
import { isAllowed } from "./rules.ts";

/*
 * A person narrows a permission without starting anew. What they take away is a policy of its own beside those of the
 * operator (`narrowingKeyOf`): a call has to pass all of them, so nothing that is stored here can allow anything. It
 * only grows until the person is asked again and consents anew.
 */

/** A tool that a permission may use now. */
export type UsableTool = { readonly name: string; readonly isReading: boolean };

export type NarrowDeps = Pick<App, "db" | "catalog" | "log"> & {
  readonly definitions: Pick<Definitions, "find">;
  readonly applyRevocations: ApplyRevocations;
};

type Permission = {
  readonly grant: Grant;
  /** What it may use now, of what its upstream has shown. */
  readonly tools: readonly UsableTool[];
  /** There are more than those. */
  readonly isCut: boolean;
  /** Nothing that changes anything is left to it, by whoever's word. */
  readonly onlyReading: boolean;
};

/** So many are offered to be taken away one by one. */
export const mostTools = 400;
/** More than an upstream's definitions are kept. */
const mostNames = 10_000;

/** A person's open permission with what it may use now. Failures: `not_found`. */
export async function permissionOf(
  app: Pick<NarrowDeps, "db" | "catalog" | "definitions">,
  which: { readonly id: string; readonly personId: string },
): Promise<Permission> {
  const grant = await timely(openGrantOf(app.db, which));
  if (grant === undefined) throw new Failure("not_found");
  const upstream = app.catalog.upstreams.get(grant.upstream);
  const policies = await policiesOfGrant(app, grant);
  const onlyReading = policies.some(
    ({ allow, deny }) =>
      deny.includes("@writing") ||
      (allow !== null && allow.length > 0 && allow.every((each) => each === "@read-only")),
  );
  const tools = upstream === undefined ? [] : await usableTools(app, { upstream, policies });
  const isCut = tools.length > mostTools;
  return { grant, tools: tools.slice(0, mostTools), isCut, onlyReading };
}

async function usableTools(
  app: Pick<NarrowDeps, "db" | "definitions">,
  owner: {
    readonly upstream: Upstream;
    readonly policies: Parameters<typeof isAllowed>[0]["caller"]["policies"];
  },
): Promise<readonly UsableTool[]> {
  const { upstream, policies } = owner;
  const { name: of, pack } = upstream;
  const names =
    pack?.tools ?? (await timely(shownTools(app.db, { upstream: of, most: mostNames })));
  return names.flatMap((name) => {
    const known = app.definitions.find(upstream, name);
    const nature = known.nature ?? natureInPack(upstream, name);
    const isUsable =
      isLiteral(name) &&
      known.state === "usable" &&
      isAllowed({ caller: { policies }, upstream }, name, nature);
    return isUsable ? [{ name, isReading: nature === "reading" }] : [];
  });
}

function natureInPack(upstream: Upstream, name: string) {
  return packTool(upstream, name)?.effect;
}

/** A name that as a pattern stands for itself alone. */
function isLiteral(name: string): boolean {
  return isToolPattern(name) && !name.startsWith("@") && !name.includes("*");
}

type Wanted = {
  readonly onlyReading: boolean;
  /** Of the tools that it may use now; undefined keeps all of them, and those that are new later. */
  readonly keep: ((tool: UsableTool) => boolean) | undefined;
  /** When all of it ends; undefined leaves that as it is. */
  readonly until: Date | undefined;
};

/**
 * Takes tools away from a person's permission, on this gateway at once and on every other within two seconds. What is
 * named and not allowed now is not allowed afterwards either. False when nothing was to be taken away. Failures: `not_found`.
 */
export async function narrowPermission(
  app: NarrowDeps,
  which: { readonly id: string; readonly personId: string },
  wanted: Wanted,
): Promise<boolean> {
  const { grant, tools } = await permissionOf(app, which);
  const taken = takenFrom(grant, tools, wanted);
  const end = endFor(grant, wanted.until);
  if (taken === undefined && end === undefined) return false;
  await timely(saveNarrowing(app.db, taken, end));
  app.applyRevocations([policyChanged(policyKeyOf(grant))]);
  app.log.info("grant_narrowed", {
    grantId: grant.id,
    onlyReading: wanted.onlyReading,
    tools: taken?.allow?.length,
    until: end?.expiresAt.toISOString(),
  });
  return true;
}

function takenFrom(
  grant: Grant,
  tools: readonly UsableTool[],
  { onlyReading, keep = () => true }: Wanted,
) {
  const kept = tools.filter(keep);
  const isFewer = kept.length < tools.length;
  if (!isFewer && !onlyReading) return undefined;
  return {
    key: narrowingKeyOf(grant),
    subject: policyKeyOf(grant),
    allow: isFewer ? kept.map(({ name }) => name) : null,
    deny: onlyReading ? ["@writing"] : [],
  };
}

/** An end that comes before the one that is set. */
function endFor(grant: Grant, until: Date | undefined) {
  const isSooner = grant.expiresAt === null || (until !== undefined && until < grant.expiresAt);
  if (until === undefined || !isSooner) return undefined;
  return { grant, expiresAt: until, topic: policyChanged(policyKeyOf(grant)) };
}

/** What approved definitions call their tools, by `UPSTREAM NAME`; those without a title are not among them. */
export async function titlesOf(
  { db }: Pick<App, "db">,
  tools: readonly { readonly upstream: string; readonly name: string }[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await timely(approvedDefinitions(db, tools));
  return new Map(
    rows.flatMap(({ upstream, name, text }) => {
      const title = titleIn(text);
      return title === undefined ? [] : [[`${upstream} ${name}`, title] as const];
    }),
  );
}

const longestTitle = 80;

/** MCP 2026-07-28: `title`, else the one among the annotations. */
function titleIn(text: string): string | undefined {
  const definition: unknown = JSON.parse(text);
  if (!isObject(definition)) return undefined;
  const { title, annotations } = definition;
  const found = [title, isObject(annotations) ? annotations["title"] : undefined].find(
    (each) => typeof each === "string" && each.trim() !== "",
  );
  return typeof found === "string" ? found.slice(0, longestTitle).toWellFormed() : undefined;
}
