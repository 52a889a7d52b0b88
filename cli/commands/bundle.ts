import { writeFileSync } from "node:fs";
import { Failure, codeOf } from "#src/failure.ts";
import { supportBundle } from "#src/check/bundle.ts";
import { loadRuntime } from "#src/runtime/load.ts";
import { command, withApp } from "../command.ts";
import { environment } from "../environment.ts";
import { patiently } from "../terminal.ts";

export const bundle = command({
  name: "bundle",
  description: "Write a diagnostics file for support, without secrets or accounts",
  examples: ["smartdash bundle", "smartdash bundle --out /tmp/for-support.json"],
  args: {
    out: { type: "string", description: "File to write; default smartdash-bundle-TIME.json" },
  },
  run: async ({ out }) => {
    const runtime = await loadRuntime();
    const text = await patiently(
      () => "Gathering",
      withApp({ role: "command", isTolerant: true }, (app) =>
        supportBundle(app, { environment: environment(), runtime }),
      ),
    );
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "");
    const file = out ?? `smartdash-bundle-${stamp}.json`;
    try {
      writeFileSync(file, text, { mode: 0o600, flag: "wx" });
    } catch (error) {
      throw new Failure("usage", `${file} cannot be written (${codeOf(error) ?? "unknown"})`);
    }
    return {
      json: { file, bytes: text.length },
      text: file,
      talk: "Read it before you hand it on: it names your providers, upstreams and addresses.",
    };
  },
});
