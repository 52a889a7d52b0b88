import { expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { newestCheckReports } from "#src/operations/check-report-store.ts";
import { createCheckRunner } from "#src/operations/check-run.ts";
import { binary } from "#test/cli/program.ts";
import { runBeside } from "#test/cli/run.ts";
import { openWorld } from "#test/support/world.ts";
import { openConsole } from "./operator.ts";

test("a check is executed from the console, and its report is the one that the command shows", async () => {
  await using world = await openWorld({ program: binary() });
  const { read, press } = await openConsole(world);
  expect(await read("check")).toContain("Nobody has checked this deployment yet.");
  const pressed = await press("check", { extent: "quick" });
  expect([pressed.status, pressed.headers.get("location")]).toEqual([303, "/console/check"]);
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
  expect(overview.includes("that must be done")).toBe((counts["fail"] ?? 0) > 0);
  const noted = await world.app.db.execute(
    sql`select actor, action, about, outcome from operator_actions`,
  );
  expect([...noted]).toEqual([{ actor: "ana", action: "check", about: "quick", outcome: "done" }]);
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
  const reports = await newestCheckReports(app.db, 100);
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

test("one check at a time; one that ends without a report is told, and so is one that was cut off", async () => {
  await using world = await openWorld();
  const { app } = world;
  const running = Promise.withResolvers<number | undefined>();
  const words: (readonly string[])[] = [];
  const runner = createCheckRunner(app, (given) => {
    words.push(given);
    return running.promise;
  });
  const first = runner.run({ by: "console:ana", isQuick: true });
  await Promise.resolve();
  const asked = { by: "console:eve", isQuick: false };
  const second = await runner.run(asked).catch((error: unknown) => error);
  expect(second).toMatchObject({ code: "check_running" });
  running.resolve(137);
  expect(await first.catch((error: unknown) => error)).toMatchObject({ code: "check_not_run" });
  expect(words).toEqual([["check", "--json", "--by", "console:ana", "--quick"]]);
  // The next one may start; and where another replica or a shell checks, none does.
  expect(await runner.run(asked).catch((error: unknown) => error)).toMatchObject({
    code: "check_not_run",
  });
  await app.db.execute(sql`insert into check_reports (id, by) values (gen_random_uuid(), 'shell')`);
  const third = await runner.run(asked).catch((error: unknown) => error);
  expect(third).toMatchObject({ code: "check_running" });
  const { read } = await openConsole(world);
  const page = await read("check");
  expect(page).toContain("A check is running, by shell.");
  expect(page).not.toContain('action="/console/check"');
  await app.db.execute(sql`update check_reports set at = now() - interval '1 hour'`);
  expect(await read("check")).toContain("ended without a report");
}, 20_000);

test("a gateway that cannot execute itself says what to do instead", async () => {
  await using world = await openWorld();
  const { read, press } = await openConsole(world);
  expect(await read("check")).toContain("smartdash check");
  expect((await press("check", { extent: "quick" })).status).toBe(404);
  expect((await press("check", { extent: "all" })).status).toBe(403);
}, 20_000);
