import { plain } from "#src/telemetry/redact.ts";

/** Deeper than that a nested text would be many times its size. */
const deepestIndent = 10;

/** JSON over several lines, plain, every token as it was written: numbers are not read. */
export function prettyJson(json: string): string {
  const visible = plain(json);
  let depth = 0;
  const line = () => `\n${"  ".repeat(Math.min(depth, deepestIndent))}`;
  return visible.replace(/"(?:[^"\\]|\\.)*"|\{\}|\[\]|[{}[\],:]/g, (token) => {
    if (token === "{" || token === "[") {
      depth += 1;
      return token + line();
    }
    if (token === "}" || token === "]") {
      depth -= 1;
      return line() + token;
    }
    if (token === ",") return token + line();
    return token === ":" ? ": " : token;
  });
}
