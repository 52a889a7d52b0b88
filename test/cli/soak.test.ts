import { expect, test } from "bun:test";
import { join } from "node:path";
import { rounds } from "#test/support/rounds.ts";
import { newFolder, root, start } from "./program.ts";

const seconds = rounds(20, 60);
const streams = 1000;
/** It goes on for twice as long when memory seems to grow. */
const fourMinutes = 240_000;

/** Louder than the ten minutes are: in one minute a small leak has to happen more often to be seen. */
const load = ["--seconds", seconds, "--streams", streams, "--calls", 300, "--churn", 40].map(
  String,
);

test(
  "streams that are held, calls, clients that leave and refreshes leaks nothing and breaks nothing",
  async () => {
    await using folder = await newFolder();
    const command = [process.execPath, join(root, "scripts/soak.ts"), ...load, "--json"];
    await using program = start(command, { cwd: folder.path });
    const { exit, stdout, stderr } = await program.ended();
    console.log(stderr);
    expect(stdout).toStartWith("{");
    const outcome = JSON.parse(stdout);
    expect({ exit, faults: outcome.faults }).toEqual({ exit: 0, faults: [] });
    expect(outcome.plan).toMatchObject({ seconds, streams });
    expect(outcome.streams).toEqual({ held: streams, cut: 0, silent: 0, leftUpstream: 0 });
    expect(outcome.errors).toEqual({});
    expect(outcome.refreshTokensReused).toBe(0);
    expect(outcome.refreshes).toBeGreaterThan(0);
    expect(outcome.calls.count).toBeGreaterThan(0);
    expect(outcome.streamsDropped).toBeGreaterThan(0);
    expect(outcome.clientsLeft).toBeGreaterThan(0);
    expect(outcome.samples.length).toBeGreaterThan(seconds / 2);
    expect(outcome.memory.slopeKilobytesPerMinute).toBeNumber();
  },
  fourMinutes,
);
