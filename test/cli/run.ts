import type { Environment } from "#src/config/read.ts";
import type { World } from "#test/support/world.ts";
import { type Outcome, binary, start } from "./program.ts";

export type Ran = Outcome & {
  /** What `--json` printed. */
  readonly json: Readonly<Record<string, unknown>>;
};

/** The compiled binary, beside the gateway of the world, with its settings. */
export async function runBeside(
  world: Pick<World, "environment" | "url">,
  words: readonly string[],
  extra: Environment = {},
): Promise<Ran> {
  const home = world.environment["SMARTDASH_HOME"] ?? "";
  const environment = {
    ...world.environment,
    PUBLIC_URL: world.url,
    LOG_LEVEL: "error",
    ...extra,
  };
  await using program = start([binary(), ...words], { cwd: home, environment });
  const outcome = await program.ended();
  return { ...outcome, json: parsed(outcome.stdout) };
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
