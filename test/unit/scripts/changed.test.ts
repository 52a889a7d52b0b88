import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { tests, testsOf } from "../../../scripts/changed.ts";

test("every row leads to tests that are there", () => {
  const root = join(import.meta.dir, "../../..");
  const gone = tests.flatMap(([, paths]) => paths).filter((path) => !existsSync(join(root, path)));
  expect(gone).toEqual([]);
});

test("the first row that fits counts, a test is its own, and the shape of the code always", () => {
  expect(testsOf(["src/telemetry/log.ts", "test/guards/limits.test.ts"])).toEqual([
    "test/architecture.test.ts",
    "test/documents.test.ts",
    "test/guards/limits.test.ts",
    "test/telemetry",
    "test/unit/telemetry",
  ]);
  expect(testsOf([])).toEqual(["test/architecture.test.ts", "test/documents.test.ts"]);
});
