import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Failure } from "#src/failure.ts";
import {
  beginCheckReport,
  newestCheckReports,
  saveCheckReport,
} from "#src/operations/check-report-store.ts";
import { type Ended, createCheckRunner } from "#src/operations/check-run.ts";
import { ownProgram } from "#cli/own-program.ts";
import { eventually } from "#test/guards/setup.ts";
import { temporaryFolder } from "#test/support/database.ts";
import { binary } from "#test/cli/program.ts";
import { runBeside } from "#test/cli/run.ts";
import { openWorld } from "#test/support/world.ts";
import { openConsole } from "./operator.ts";

test("a check is executed from the console, and its report is the one that the command shows", async () => {
  await using world = await openWorld({ program: binary() });
  const { read, press } = await openConsole(world);
  expect(await read("check")).toContain("Nobody has checked this deployment yet.");
  const pressed = await press("check", { extent: "quick" });
  expect([pressed.status, pressed.headers.get("location")]).toEqual([303, "/console/check?done"]);
  const [report] = await newestCheckReports(world.app.db);
  expect(report).toMatchObject({
    by: "console:ana",
    status: expect.stringMatching(/pass|warn|fail/),
  });
  const list = await read("check");
  expect(list).toContain(`/console/check/${report?.id}`);
  const { json } = await runBeside(world, ["check", "reports", report?.id ?? "", "--json"]);
  const findings = json["findings"] as { code: string; status: string; message: string }[];
  const page = await read(`check/${report?.id}`);
  expect(findings.length).toBeGreaterThan(20);
  for (const { code } of findings) expect(page).toContain(`<code>${code}</code>`);
  const counts = json["counts"] as Record<string, number>;
  expect(report?.counts).toEqual(counts);
  const overview = (await read("overview")).replaceAll(/\s+/g, " ");
  expect(overview.includes("Must be done, by the check")).toBe((counts["fail"] ?? 0) > 0);
  const noted = await world.app.db.execute(
    sql`select actor, action, about, outcome from operator_actions`,
  );
  expect([...noted]).toEqual([
    { actor: "ana", action: "check_start", about: "quick", outcome: "done" },
  ]);
}, 60_000);

test("reports of the command are kept, the newest fifty, and are still what was signed", async () => {
  await using world = await openWorld();
  const { app } = world;
  await app.db.execute(sql`
    insert into check_reports (id, by) select gen_random_uuid(), 'old' from generate_series(1, 60)`);
  await app.db.execute(
    sql`update check_reports set id = ('00000000' || substr(id::text, 9))::uuid`,
  );
  const made = await runBeside(world, [
    "check",
    "--quick",
    "--offline",
    "--json",
    "--by",
    "night job",
  ]);
  const reports = await newestCheckReports(app.db);
  expect([reports.length, reports[0]?.by, reports[0]?.status]).toEqual([
    50,
    "night job",
    made.json["status"] as "pass",
  ]);
  const shown = await runBeside(world, ["check", "reports", reports[0]?.id ?? "", "--json"]);
  expect(shown.json).toEqual(made.json);
  const listed = await runBeside(world, ["check", "reports"]);
  expect(listed.stdout).toContain("night job");
  const unknown = await runBeside(world, ["check", "reports", "x"]);
  expect([unknown.exit, unknown.stderr.includes("smartdash check reports")]).toEqual([1, true]);
  expect((await runBeside(world, ["check", "--by", "<b>"])).exit).toBe(2);
}, 60_000);

test("where the database takes no report, the check goes on and says so", async () => {
  await using world = await openWorld();
  await world.app.db.execute(sql`alter table check_reports rename to check_reports_away`);
  const made = await runBeside(world, ["check", "--quick", "--offline"]);
  expect(made.stdout).toMatch(/\d+ passed/);
  expect(made.stderr).toContain("could not be stored");
}, 60_000);

test("CO-8: one check at a time over all replicas; one that ends without a report is told, and the next may start", async () => {
  await using world = await openWorld();
  const { app } = world;
  const running = Promise.withResolvers<Ended>();
  const words: (readonly string[])[] = [];
  const runners = Array.from({ length: 2 }, () =>
    createCheckRunner(app, (given) => {
      words.push(given);
      return running.promise;
    }),
  );
  const asked = { by: "console:ana", isQuick: true };
  const codeOf = (ran: Promise<void> | undefined) =>
    ran?.then(
      () => "done",
      (error: unknown) => (error as Failure).code,
    );
  const [first, second] = runners.map((runner) => codeOf(runner.run(asked)));
  const refused = await Promise.race([first, second]);
  expect(refused).toBe("check_running");
  expect(await codeOf(runners[0]?.run(asked))).toBe("check_running");
  const { read } = await openConsole(world);
  const page = await read("check");
  expect(page).toContain("A check is running, by console:ana.");
  expect(page).not.toContain('action="/console/check"');
  running.resolve({ exit: 2, said: "SMARTDASH_UPSTREAMS is no JSON" });
  expect(new Set(await Promise.all([first, second]))).toEqual(
    new Set(["check_not_run", "check_running"]),
  );
  expect(words).toEqual([["check", "--into", expect.any(String), "--quick"]]);
  expect(await read("check")).toContain("ended without a report");
  expect(await read("overview")).toContain("The last check ended without a report");
  expect(await codeOf(runners[1]?.run(asked))).toBe("check_not_run");
  // Wherever else one is at work none is started; one that nobody ended is not waited for without end.
  await app.db.execute(sql`insert into check_reports (id, by) values (gen_random_uuid(), 'shell')`);
  await app.db.execute(
    sql`insert into check_reports (id, by, ended_at) values (gen_random_uuid(), 'other', now())`,
  );
  expect(await codeOf(runners[0]?.run(asked))).toBe("check_running");
  await app.db.execute(
    sql`update check_reports set at = now() - interval '4 minutes' where by = 'shell'`,
  );
  expect(await codeOf(runners[0]?.run(asked))).toBe("check_not_run");
  await app.db.execute(
    sql`update check_reports set ended_at = null, at = now() + interval '1 day' where by = 'shell'`,
  );
  expect(await codeOf(runners[0]?.run(asked))).toBe("check_not_run");
}, 20_000);

test("a part of the checklist does not answer for all of it, and says when it was", async () => {
  await using world = await openWorld();
  const { app } = world;
  const { read } = await openConsole(world);
  const save = async (extent: "whole" | "part", fail: number) => {
    const id = await beginCheckReport(app.db, "operator", app.now());
    const status = fail > 0 ? ("fail" as const) : ("pass" as const);
    const report = JSON.stringify({ findings: [] });
    await saveCheckReport(app.db, id, { status, counts: { fail }, extent, report });
    return id;
  };
  const whole = await save("whole", 2);
  await save("part", 0);
  const overview = await read("overview");
  expect(overview).toContain("Must be done, by the check: 2");
  expect(overview).toContain(`/console/check/${whole}`);
  await save("whole", 0);
  expect(await read("overview")).not.toContain("by the check");
  await save("part", 1);
  expect(await read("overview")).toContain("Must be done, by the check: 1");
});

test("a report that is not what it should be is told apart from one that is well", async () => {
  await using world = await openWorld();
  const { app } = world;
  const { read, visitor } = await openConsole(world);
  const id = await beginCheckReport(app.db, "operator", app.now());
  for (const report of ["hello", "[1,2]", "null", '{"a":', "{}", '{"findings":{}}']) {
    await saveCheckReport(app.db, id, { status: "pass", counts: {}, extent: "whole", report });
    expect([report, (await visitor.get(`${world.url}/console/check/${id}`)).status]).toEqual([
      report,
      404,
    ]);
    expect((await runBeside(world, ["check", "reports", id])).exit).toBe(1);
  }
  const odd = { status: "error", code: { toString: 1 }, message: 7, hint: "<b>\u202e" };
  const report = JSON.stringify({ findings: [odd, null, 3], build: 1, options: { a: { b: 1 } } });
  await saveCheckReport(app.db, id, {
    status: "fail",
    counts: { fail: 1 },
    extent: "whole",
    report,
  });
  const page = await read(`check/${id}`);
  expect(page).toContain("must be done");
  expect(page).not.toContain("<b>\u202e");
  // What cannot be shown line by line ends in words, not in a stack.
  const shown = await runBeside(world, ["check", "reports", id]);
  expect([shown.exit, shown.stderr.includes("There is no report")]).toEqual([1, true]);
}, 20_000);

test("what still runs when the gateway ends is asked to end first, and killed later", async () => {
  const program = ownProgram({ ownCommand: ["/bin/sh", "-c"] }, { PATH: "/bin:/usr/bin" });
  const ready = await temporaryFolder();
  const script = `trap 'echo bye >&2; exit 3' TERM; touch ${ready}/up; while :; do sleep 0.02; done`;
  const ended = program.execute?.([script]);
  await eventually(() => Promise.resolve(existsSync(join(ready, "up"))));
  await program.stop();
  expect(await ended).toEqual({ exit: 3, said: "bye\n" });
  const none = ownProgram({ ownCommand: ["/does/not/exist"] }, {});
  expect(await none.execute?.([])).toEqual({
    exit: undefined,
    said: expect.stringContaining("ENOENT"),
  });
});

test("a gateway that cannot execute itself says what to do instead", async () => {
  await using world = await openWorld();
  const { read, press } = await openConsole(world);
  expect(await read("check")).toContain("smartdash check");
  expect((await press("check", { extent: "quick" })).status).toBe(404);
  expect((await press("check", { extent: "all" })).status).toBe(403);
}, 20_000);
