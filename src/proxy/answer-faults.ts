import { Failure } from "#src/failure.ts";

/** It answers another request than the one that waits. */
export function anothers(): Failure {
  const message =
    "The MCP server sent the answer to another request; it was not passed on. Call again.";
  return new Failure("upstream_invalid", message, { reason: "an answer to another request" });
}

/** A list of tools where none was asked for: nobody would judge it for this reader. */
export function strayList(): Failure {
  const message = "The MCP server answered with a list of tools that nobody had asked for.";
  return new Failure("upstream_invalid", message, { reason: "a list of tools" });
}

/** A list of tools that readers could understand differently, or with more in it than is looked at. */
export function unclearList(): Failure {
  const message =
    "The MCP server's list of tools is no strict JSON (a key twice, say), or has more than 200,000 values.";
  return new Failure("upstream_invalid", message, {
    reason: "a list of tools that is no strict JSON",
  });
}

/** Text in another encoding than UTF-8. */
export function unreadable(reason: string): Failure {
  return new Failure("upstream_invalid", undefined, { reason });
}
