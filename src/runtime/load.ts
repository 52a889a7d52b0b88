import type { Runtime } from "./runtime.ts";

/** The runtime that this process runs on; the other one is not loaded. */
export async function loadRuntime(): Promise<Runtime> {
  return "Deno" in globalThis
    ? (await import("./deno.ts")).denoRuntime
    : (await import("./bun.ts")).bunRuntime;
}
