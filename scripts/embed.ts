import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** Writes `db/migrations/embedded.ts`, through which the binary carries every migration. */
export async function embedMigrations(): Promise<string> {
  const folder = join(import.meta.dir, "../db/migrations");
  const names = (await readdir(folder))
    .filter((file) => file.endsWith(".sql"))
    .map((file) => file.slice(0, -".sql".length))
    .toSorted();
  const imports = names.map(
    (name, index) => `import sql${index} from "./${name}.sql" with { type: "text" };`,
  );
  const rows = names.map((name, index) => `  { name: "${name}", sql: sql${index} },`);
  return [
    "// Written by scripts/embed.ts after drizzle-kit; a test compares it with the folder.",
    ...imports,
    "",
    "export const migrations = [",
    ...rows,
    "] as const;",
    "",
  ].join("\n");
}

if (import.meta.main) {
  await Bun.write(join(import.meta.dir, "../db/migrations/embedded.ts"), await embedMigrations());
}
