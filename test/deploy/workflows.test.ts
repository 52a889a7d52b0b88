import { describe, expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "#test/cli/program.ts";

type Step = { readonly uses?: string; readonly run?: string };
type Job = {
  readonly "timeout-minutes"?: number;
  readonly permissions?: object;
  readonly steps: readonly Step[];
};
type Workflow = {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: object;
  readonly jobs: Readonly<Record<string, Job>>;
};

const folder = join(root, ".github/workflows");
const names = readdirSync(folder).toSorted();
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

test("there is a workflow for tests, builds, releases and dependencies", () => {
  expect(names).toEqual(["build.yml", "dependency-review.yml", "release.yml", "test.yml"]);
});

describe.each(names)("%s", (name) => {
  const text = readFileSync(join(folder, name), "utf8");
  const workflow = Bun.YAML.parse(text) as Workflow;
  const jobs = Object.entries(workflow.jobs);
  const steps = jobs.flatMap(([, job]) => job.steps);

  test("may only read unless a job says otherwise, and cannot run for ever", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
    expect(workflow.concurrency).toBeDefined();
    const endless = jobs.filter(([, job]) => !((job["timeout-minutes"] ?? 0) > 0));
    expect(endless.map(([job]) => job)).toEqual([]);
  });

  test("never runs code of a stranger's pull request with our rights", () => {
    for (const event of ["pull_request_target", "workflow_run", "issue_comment"])
      expect(Object.keys(workflow.on)).not.toContain(event);
  });

  test("pins every action by its commit, or at least by an exact version", () => {
    const used = [...text.matchAll(/\buses:\s*(\S+)(.*)/g)].map(
      ([, action, rest]) => `${action}${rest}`,
    );
    expect(used).toHaveLength(steps.filter(({ uses }) => uses !== undefined).length);
    const pinned = /^[\w-]+\/[\w./-]+@([0-9a-f]{40} # v\d+\.\d+\.\d+|v\d+\.\d+\.\d+)$/;
    expect(used.filter((each) => !pinned.test(each))).toEqual([]);
  });

  test("puts no expression into a shell, so that nobody's title or branch is run", () => {
    const commands = steps.flatMap(({ run }) => run ?? []);
    expect(commands.filter((command) => command.includes("${{"))).toEqual([]);
  });

  test("runs npm scripts and files that exist", () => {
    const commands = steps.flatMap(({ run }) => run?.split("\n") ?? []);
    const called = commands.flatMap((command) => {
      const [, script] = /^npm (?:run )?([\w-]+)/.exec(command.trim()) ?? [];
      return script ?? [];
    });
    expect(called.filter((script) => !(script in scripts))).toEqual([]);
    const files = commands.flatMap((command) => /\bscripts\/[\w./-]+/.exec(command)?.[0] ?? []);
    for (const file of files) expect(() => readFileSync(join(root, file))).not.toThrow();
  });
});

test("only the job that publishes a release may write, and it runs no package", () => {
  const writing = names.flatMap((name) => {
    const { jobs } = Bun.YAML.parse(readFileSync(join(folder, name), "utf8")) as Workflow;
    return Object.entries(jobs).filter(([, job]) => job.permissions !== undefined);
  });
  expect(writing.map(([name, { permissions }]) => [name, permissions])).toEqual([
    ["publish", { contents: "write", "id-token": "write", attestations: "write" }],
  ]);
  const commands = writing.flatMap(([, job]) => job.steps.flatMap(({ run }) => run ?? []));
  expect(commands.filter((command) => /\b(npm|npx|bun|node)\b/.test(command))).toEqual([]);
});

test("the forms for issues can be read, and have a name, a description and fields", () => {
  const forms = join(root, ".github/ISSUE_TEMPLATE");
  for (const name of ["bug.yml", "feature.yml"]) {
    const form = Bun.YAML.parse(readFileSync(join(forms, name), "utf8")) as Record<string, unknown>;
    expect(Object.keys(form)).toEqual(["name", "description", "labels", "body"]);
  }
  const config = Bun.YAML.parse(readFileSync(join(forms, "config.yml"), "utf8"));
  expect(config).toMatchObject({ blank_issues_enabled: false });
});
