import { expect, test } from "bun:test";
import { messageProblems } from "../../../scripts/hooks.ts";

const body = "\n\nBecause it was needed.\n";

test.each([
  `feat(proxy): keep idle connections for four seconds${body}`,
  `fix!: refuse a second key${body}`,
  "Merge branch 'x'\n",
  'Revert "feat: x"\n\nThis reverts commit 0.\n',
  `docs: say it${body}# a comment of Git\n`,
])("%j is a good message", (message) => {
  expect(messageProblems(message)).toEqual([]);
});

test.each([
  ["guards: what two reviews found is mended" + body, "type"],
  [`feat(proxy): ${"x".repeat(72)}${body}`, "72 are allowed"],
  ["feat: x\nmore" + body, "empty line"],
  ["feat: x\n", "say why"],
  ["feat: x\n\n# only a comment\n", "say why"],
  [`Feat: x${body}`, "type"],
  [`feat:x${body}`, "type"],
])("%j is refused, and says what is wrong: %s", (message, problem) => {
  expect(messageProblems(message).join(" ")).toContain(problem);
});
