import { fileURLToPath } from "node:url";
import type { Fleet, Program } from "./fleet.ts";

/** What a recipe needs to know. */
export function settingsFor(fleet: Fleet, program: Program): Readonly<Record<string, string>> {
  const numbered = fleet.nodes.flatMap(({ home, url }, at) => [
    [`HOME_${at + 1}`, home] as const,
    [`URL_${at + 1}`, url] as const,
  ]);
  const fleetKey = fleet.nodes[0]?.environment["SMARTDASH_FLEET_KEY"] ?? "";
  return { SMARTDASH: program.join(" "), FLEET_KEY: fleetKey, ...Object.fromEntries(numbered) };
}

const limitMs = 60_000;

/** Runs one of the shell scripts beside this file; a minute at most. */
export async function runRecipe(
  fleet: Fleet,
  program: Program,
  recipe: string,
): Promise<{ readonly exit: number; readonly text: string }> {
  const path = fileURLToPath(new URL(recipe, import.meta.url));
  const child = Bun.spawn(["sh", path], {
    env: { PATH: process.env["PATH"] ?? "", ...settingsFor(fleet, program) },
    stderr: "pipe",
    timeout: limitMs,
  });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exit: await child.exited, text: `${out}${error}`.trim() };
}
