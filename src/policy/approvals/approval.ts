import type { App } from "#src/app.ts";
import { newId } from "#src/crypto/ids.ts";
import { SealBroken } from "#src/crypto/seal.ts";
import { Secret, fromBase64url } from "#src/crypto/secret.ts";
import { Failure } from "#src/failure.ts";
import { timely } from "#src/clock.ts";
import { packTool } from "#src/upstreams/tools/tool-servers.ts";
import type { CallContext, ToolInvocation } from "../plan.ts";
import {
  type Answer,
  type Approval,
  type Asked,
  type Extent,
  approvalById,
  ask,
  decide,
  isRefused,
  useApproval,
  withdraw,
} from "./store.ts";

type Deps = Pick<App, "db" | "now" | "seal" | "publicUrl" | "log">;

/** A person has to be able to read what they agree to. Characters. */
const longestArguments = 16 * 1024;
const tenMinutesMs = 10 * 60_000;
export const statePrefix = "sd_apr_";

/** The yes that a call was made with. */
export type Used = Pick<Approval, "id" | "extent">;

/**
 * Goes on when a person has agreed to this very call, or to this agent's use of the tool; asks them otherwise.
 * A yes for once is used up by it. `state` is what came back with our own question (MCP 2026-07-28).
 * Failures: `approval_needed` with the link, `approval_refused`, `tool_refused`, `message_invalid`.
 */
export async function expectApproval(
  app: Deps,
  call: CallContext,
  use: ToolInvocation,
  state: string | undefined,
): Promise<Used> {
  const { caller, upstream } = call;
  const asked = {
    caller: caller.key,
    upstream: upstream.name,
    tool: use.name,
    argumentsHash: use.requestHash(),
  };
  const id = state === undefined ? undefined : readState(app, asked, state);
  const used = await timely(
    useApproval(app.db, asked, {
      id,
      isOnceOnly: packTool(upstream, use.name)?.isOnceOnly === true,
    }),
  );
  if (used !== undefined) return used;
  if (await timely(isRefused(app.db, asked))) {
    throw new Failure(
      "approval_refused",
      `The person did not allow ${use.name} with these arguments. Do not ask for it again; ask them what they want instead.`,
    );
  }
  throw await question(app, call, use, asked);
}

async function question(
  app: Deps,
  call: CallContext,
  use: ToolInvocation,
  asked: Asked,
): Promise<Failure> {
  const request = use.written?.request ?? "";
  if (request.length > longestArguments) {
    return new Failure(
      "tool_refused",
      `${use.name} needs a person's yes, and nobody can check arguments of more than ${longestArguments} characters. Send less at once.`,
    );
  }
  const newest = newId(app.now());
  const id = await timely(
    ask(app.db, {
      ...asked,
      id: newest,
      personId: call.caller.personId ?? null,
      accountId: call.caller.accountId ?? null,
      agent: call.caller.agentName.slice(0, 200),
      arguments: app.seal.close(new Secret(request), placeOf(newest)),
    }),
  );
  if (id === undefined) {
    return new Failure(
      "approval_needed",
      "A person has twenty open questions of this agent already. Wait for their answers.",
      {
        retryAfterSeconds: 60,
      },
    );
  }
  if (id === newest)
    app.log.info("approval_asked", { id, upstream: asked.upstream, tool: asked.tool });
  const hasPerson = call.caller.personId !== undefined;
  return new Failure(
    "approval_needed",
    hasPerson
      ? `A person has to allow this call of ${use.name} first. Show them the link, wait until they say that they have answered, then call again with exactly the same arguments.`
      : `The operator has to allow this call of ${use.name} first: smartdash approvals allow ${id}. Then call again with exactly the same arguments.`,
    {
      ...(hasPerson ? { link: `${app.publicUrl}/approvals/${id}` } : {}),
      state: stateFor(app, asked, id),
    },
  );
}

/** Whether a yes to a use of a tool is for that use alone. */
export function isOnceOnly(
  { catalog }: Pick<App, "catalog">,
  { upstream, tool }: Pick<Approval, "upstream" | "tool">,
): boolean {
  const known = catalog.upstreams.get(upstream);
  return known !== undefined && packTool(known, tool)?.isOnceOnly === true;
}

/**
 * Answers an open question, and logs it. False when it is open no more. Failures: `once_only` for a yes for longer to
 * what can be allowed once only.
 */
export async function answerQuestion(
  app: Pick<App, "db" | "log" | "catalog">,
  answer: Answer,
): Promise<boolean> {
  if (answer.extent === "hour" || answer.extent === "always") {
    const asked = await timely(approvalById(app.db, answer.id));
    if (asked !== undefined && isOnceOnly(app, asked)) throw new Failure("once_only");
  }
  const about = await timely(decide(app.db, answer));
  if (about === undefined) return false;
  const { id, extent, by } = answer;
  app.log.info("approval_decided", { id, ...about, by, allowed: extent ?? "no" });
  return true;
}

/** Takes back a yes that still holds, and logs it. False when there is none. */
export async function takeBack(
  app: Pick<App, "db" | "log">,
  which: { readonly id: string; readonly personId?: string },
  by: string,
): Promise<boolean> {
  const isOver = await timely(withdraw(app.db, which, by));
  if (isOver) app.log.info("approval_withdrawn", { id: which.id, by });
  return isOver;
}

/** The arguments as the person sees them; undefined when they have been erased. */
export function argumentsOf(app: Pick<App, "seal">, approval: Approval): string | undefined {
  if (approval.arguments === null) return undefined;
  return app.seal.open(approval.arguments, placeOf(approval.id)).reveal();
}

function placeOf(id: string) {
  return { table: "approvals", row: id, column: "arguments" };
}

function statePlace({ caller, upstream, tool, argumentsHash }: Asked) {
  return {
    table: "approvals",
    row: JSON.stringify([caller, upstream, tool, argumentsHash]),
    column: "state",
  };
}

/** Sealed, and bound to caller, tool and arguments: it opens nowhere else. Ten minutes. */
function stateFor(app: Deps, asked: Asked, id: string): string {
  const text = `${id} ${app.now().getTime() + tenMinutesMs}`;
  const sealed = app.seal.close(new Secret(text), statePlace(asked));
  return statePrefix + Buffer.from(sealed).toString("base64url");
}

/** The question that a state came with; undefined when it is too old. Failures: `message_invalid`. */
function readState(app: Deps, asked: Asked, state: string): string | undefined {
  const refused = () =>
    new Failure("message_invalid", "This requestState was not made for this call");
  const sealed = fromBase64url(state.slice(statePrefix.length));
  if (sealed === undefined) throw refused();
  try {
    const text = app.seal.open(sealed, statePlace(asked)).reveal();
    const [id = "", until] = text.split(" ");
    return Number(until) < app.now().getTime() ? undefined : id;
  } catch (error) {
    throw error instanceof SealBroken ? refused() : error;
  }
}

/** How long a yes may hold, as people write it. */
export function readExtent(text: string | undefined): Extent | undefined {
  return (["once", "hour", "always"] as const).find((extent) => extent === text);
}
