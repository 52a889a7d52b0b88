import { expect, test } from "bun:test";
import {
  type Guarded,
  call,
  destructive,
  listed,
  openGuarded,
  reading,
  text,
  tool,
  usualGuards,
} from "./setup.ts";

/** What one agent does, and whether that is what agents are for. */
type Behaviour = {
  readonly name: string;
  readonly isLegitimate: boolean;
  /** What the guard has to have done in the end. */
  readonly outcome:
    | "nothing"
    | "loop_noticed"
    | "loop_refused"
    | "agent_stopped"
    | "rate_limited"
    | "too_many_at_once";
  act(agent: Agent): Promise<void>;
};

type Agent = {
  /** Calls and notes what a guard said; says whether it was let through. */
  call(name: string, args?: Readonly<Record<string, unknown>>): Promise<boolean>;
  pause(seconds: number): void;
  /** Whatever the upstream answers from now on. */
  answers(result: (name: string, count: number) => unknown): void;
  retryAfter(): number;
};

async function times(count: number, act: (index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; index < count; index += 1) await act(index);
}

const behaviours: readonly Behaviour[] = [
  {
    name: "pages through 60 pages of a list",
    isLegitimate: true,
    outcome: "nothing",
    act: (agent) => times(60, (page) => agent.call("list_orders", { page })),
  },
  {
    name: "polls a job every 5 s for 5 minutes until it is done",
    isLegitimate: true,
    outcome: "nothing",
    async act(agent) {
      agent.answers((_, count) => text(count < 60 ? "pending" : "done"));
      await times(60, async () => {
        await agent.call("get_job", { id: 1 });
        agent.pause(5);
      });
    },
  },
  {
    name: "polls every 10 s for an hour, and nothing changes",
    isLegitimate: true,
    outcome: "nothing",
    act: (agent) =>
      times(360, async () => {
        await agent.call("get_job", { id: 1 });
        agent.pause(10);
      }),
  },
  {
    name: "polls with growing pauses",
    isLegitimate: true,
    outcome: "nothing",
    act: (agent) =>
      times(40, async (index) => {
        await agent.call("get_job", { id: 7 });
        agent.pause(Math.min(2 + index, 30));
      }),
  },
  {
    name: "polls every second a counter that counts on",
    isLegitimate: true,
    outcome: "nothing",
    async act(agent) {
      agent.answers((_, count) => text(`${count} of 200`));
      await times(200, async () => {
        await agent.call("get_progress");
        agent.pause(1);
      });
    },
  },
  {
    name: "looks at 40 items at the same time",
    isLegitimate: true,
    outcome: "nothing",
    async act(agent) {
      await Promise.all(Array.from({ length: 40 }, (_, id) => agent.call("get_item", { id })));
    },
  },
  {
    name: "looks at the same 12 items once more after a while",
    isLegitimate: true,
    outcome: "nothing",
    async act(agent) {
      for (const _ of [1, 2]) {
        await times(12, (id) => agent.call("get_item", { id }));
        agent.pause(60);
      }
    },
  },
  {
    name: "answers 30 different questions",
    isLegitimate: true,
    outcome: "nothing",
    act: (agent) => times(30, (id) => agent.call("answer_question", { id, text: "Yes" })),
  },
  {
    name: "sends the same answer twice because it was not sure",
    isLegitimate: true,
    outcome: "nothing",
    act: (agent) => times(2, () => agent.call("answer_question", { id: 1, text: "Yes" })),
  },
  {
    name: "reads, writes, reads again, twenty times over, with effect",
    isLegitimate: true,
    outcome: "nothing",
    async act(agent) {
      agent.answers((name, count) => text(`${name} ${count}`));
      await times(20, async (step) => {
        await agent.call("get_item", { id: 1 });
        await agent.call("update_stock", { id: 1, stock: step });
        agent.pause(2);
      });
    },
  },
  {
    name: "meets eight errors while it finds out the right arguments",
    isLegitimate: true,
    outcome: "nothing",
    async act(agent) {
      agent.answers((_, count) => text("no", count <= 8));
      await times(9, (guess) => agent.call("search", { q: guess }));
    },
  },
  {
    name: "looks for 100 items of which every third is not there",
    isLegitimate: true,
    outcome: "nothing",
    async act(agent) {
      agent.answers((_, count) => text(`item ${count}`, count % 3 === 0));
      await times(100, (id) => agent.call("get_item", { id }));
    },
  },
  {
    name: "waits as long as it was told, and then goes on",
    isLegitimate: true,
    outcome: "rate_limited",
    act: (agent) =>
      times(150, async (id) => {
        if (await agent.call("get_item", { id })) return;
        agent.pause(agent.retryAfter());
        expect(await agent.call("get_item", { id })).toBe(true);
      }),
  },
  {
    name: "stops and does something else when it is told",
    isLegitimate: true,
    outcome: "loop_noticed",
    async act(agent) {
      while (await agent.call("get_job", { id: 1 }));
      agent.pause(5);
      expect(await agent.call("list_orders", { page: 1 })).toBe(true);
      agent.pause(600);
      expect(await agent.call("get_job", { id: 1 })).toBe(true);
    },
  },
  {
    name: "reads the same again and again, about every second, as fast as it thinks",
    isLegitimate: false,
    outcome: "agent_stopped",
    act: (agent) =>
      times(80, async (index) => {
        await agent.call("list_orders");
        agent.pause([1.6, 0.7, 1.2, 0.5][index % 4]!);
      }),
  },
  {
    // A model takes as long as it takes: no two pauses are alike.
    name: "reads the same about every 3 s and heeds nothing (277 calls, 500 dollars)",
    isLegitimate: false,
    outcome: "agent_stopped",
    act: (agent) =>
      times(277, async (index) => {
        await agent.call("list_orders");
        agent.pause([2.1, 4.4, 3, 1.7, 3.8][index % 5]!);
      }),
  },
  {
    name: "writes the same again and again",
    isLegitimate: false,
    outcome: "agent_stopped",
    act: (agent) =>
      times(20, async () => {
        await agent.call("answer_question", { id: 1, text: "Yes" });
        agent.pause(1);
      }),
  },
  {
    name: "goes A-B-A-B",
    isLegitimate: false,
    outcome: "agent_stopped",
    act: (agent) =>
      times(60, async () => {
        await agent.call("get_item", { id: 1 });
        agent.pause(1);
        await agent.call("get_job", { id: 1 });
        agent.pause(1);
      }),
  },
  {
    name: "goes A-B-C-A-B-C with arguments in another order each time",
    isLegitimate: false,
    outcome: "agent_stopped",
    act: (agent) =>
      times(60, async (turn) => {
        const args = turn % 2 === 0 ? { a: 1, b: 2 } : { b: 2, a: 1 };
        for (const name of ["get_item", "get_job", "search"]) {
          await agent.call(name, args);
          agent.pause(1);
        }
      }),
  },
  {
    name: "tries again at once after each of endless errors, with other arguments each time",
    isLegitimate: false,
    outcome: "agent_stopped",
    async act(agent) {
      agent.answers(() => text("failed", true));
      await times(60, async (attempt) => {
        await agent.call("search", { attempt });
        agent.pause(1);
      });
    },
  },
  {
    name: "goes on after it was refused, but leaves off before it is stopped",
    isLegitimate: false,
    outcome: "loop_refused",
    act: (agent) =>
      times(44, async () => {
        await agent.call("list_orders");
        agent.pause(1);
      }),
  },
  ...(
    [
      [2, "loop_refused"],
      // One in two passes, and being told is forgiven as fast.
      [5, "loop_noticed"],
      [30, "nothing"],
    ] as const
  ).map(([seconds, outcome]): Behaviour => ({
    name: `polls every ${seconds} s for an hour, within a fifth, while nothing changes`,
    isLegitimate: true,
    outcome,
    async act(agent) {
      let passed = 0;
      const many = 3600 / seconds;
      await times(many, async (index) => {
        passed += Number(await agent.call("get_job", { id: 1 }));
        agent.pause(seconds * [1, 0.92, 1.08][index % 3]!);
      });
      // Slowed to one in ten seconds, and no further.
      expect(passed).toBeGreaterThan(Math.min(many, 360) * 0.8);
      // What comes in the end is seen.
      agent.answers(() => text("done"));
      agent.pause(10);
      expect(await agent.call("get_job", { id: 1 })).toBe(true);
    },
  })),
  {
    name: "hammers: five a second for a minute, at an even pace",
    isLegitimate: false,
    outcome: "agent_stopped",
    act: (agent) =>
      times(300, async () => {
        await agent.call("get_job", { id: 1 });
        agent.pause(0.2);
      }),
  },
  {
    name: "writes every 2 s for five minutes, at an even pace",
    isLegitimate: false,
    outcome: "agent_stopped",
    act: (agent) =>
      times(150, async () => {
        await agent.call("update_stock", { id: 1 });
        agent.pause(2);
      }),
  },
  {
    name: "begins 100 calls at the same time",
    isLegitimate: false,
    outcome: "too_many_at_once",
    async act(agent) {
      // The upstream answers when everything has been refused that is too much at once.
      const [crowd, atOnce] = [100, Number(usualGuards.SMARTDASH_CALLS_AT_ONCE)];
      const refused = Promise.withResolvers<void>();
      let over = 0;
      agent.answers(async () => {
        await refused.promise;
        return text("slow");
      });
      const calls = Array.from({ length: crowd }, async (_, id) => {
        await agent.call("get_item", { id });
        over += 1;
        if (over === crowd - atOnce) refused.resolve();
      });
      await Promise.all(calls);
    },
  },
];

const tools = [
  ...["list_orders", "get_job", "get_progress", "get_item", "search"].map((name) =>
    tool(name, reading),
  ),
  tool("answer_question", { readOnlyHint: false }),
  tool("update_stock", { readOnlyHint: false, destructiveHint: false }),
  tool("delete_item", destructive),
];

function agentAt(guarded: Guarded) {
  const codes = new Map<string, number>();
  let [count, made, retryAfter] = [0, 0, 0];
  let result: (name: string, count: number) => unknown = (name) => text(`result of ${name}`);
  guarded.offer.call = (name) => {
    count += 1;
    return result(name, count);
  };
  const agent: Agent = {
    async call(name, args) {
      made += 1;
      const { code, headers, text: said } = await call(guarded, name, args);
      if (code === undefined) return true;
      codes.set(code, (codes.get(code) ?? 0) + 1);
      const seconds = headers.get("retry-after") ?? /"retryAfterSeconds":(\d+)/.exec(said)?.[1];
      retryAfter = Number(seconds ?? 0);
      return false;
    },
    pause: (seconds) => guarded.gateway.advance(seconds * 1000),
    answers: (next) => {
      result = next;
    },
    retryAfter: () => retryAfter,
  };
  return { agent, codes, made: () => made };
}

const ladder = ["loop_noticed", "loop_refused", "agent_stopped"];
const table: string[] = [];

for (const behaviour of behaviours) {
  const { name, isLegitimate, outcome } = behaviour;
  test(`an agent that ${name}: ${outcome}`, async () => {
    await using guarded = await openGuarded(
      { tools },
      { SMARTDASH_LIMITS: outcome === "rate_limited" ? "agent=100/60s" : "off" },
    );
    await listed(guarded);
    // The database's clock cannot be advanced: here the gateway counts alone, as it does while there is none.
    await guarded.world.app.db.execute("alter table tallies rename to hidden");
    const { agent, codes, made } = agentAt(guarded);
    await behaviour.act(agent);
    const said = [...codes].map(([code, count]) => `${code} ×${count}`).join(", ");
    table.push(
      `${isLegitimate ? "legitimate" : "not      "}  ${String(made()).padStart(3)} calls, ${String(guarded.reached()).padStart(3)} reached the server  ${name}: ${said || "nothing"}`,
    );
    const worst = ladder.findLast((code) => codes.has(code)) ?? [...codes.keys()][0] ?? "nothing";
    expect(worst).toBe(outcome);
    if (isLegitimate) expect(codes.has("agent_stopped")).toBe(false);
    // Whoever waits for something may be slowed down.
    if (isLegitimate && outcome !== "loop_refused") expect(codes.has("loop_refused")).toBe(false);
  }, 60_000);
}

test("the table of what guards did", () => {
  console.log(table.join("\n"));
  expect(table).toHaveLength(behaviours.length);
});
