import type { Setting } from "./setting.ts";

/** What may be called, how often, and who is asked. */
export const guardSettings = {
  SMARTDASH_LIMITS: {
    kind: "list",
    default: "agent=100/60s",
    doc: "Rate limits, comma separated: `agent` (each permission of an agent), `person`, `account`, `upstream`, `tool` (one tool of an upstream, for all) or `address`, then calls per seconds: `agent=100/60s,address=1200/60s`. So many may come at once; `agent=100/60s:20` allows 20 at once. `off` for none.",
  },
  SMARTDASH_BUDGETS: {
    kind: "list",
    default: "agent=5000/day",
    doc: "Calls that each `agent` permission or `account` may make per `minute`, `day` or `month` (UTC): `agent=5000/day,account=100000/month`. At 80 % there is an alert. `off` for none.",
  },
  SMARTDASH_CALLS_AT_ONCE: {
    kind: "count",
    default: "64",
    doc: "Calls of one agent permission that may wait for their answer at the same time.",
  },
  SMARTDASH_STREAMS_AT_ONCE: {
    kind: "count",
    default: "100",
    doc: "Event streams of one agent permission that may be open at the same time.",
  },
  SMARTDASH_BODY_MIB_AT_ONCE: {
    kind: "count",
    default: "16",
    doc: "Mebibytes of request bodies of one agent permission that may be under way at the same time: read, or kept until the MCP server has answered. 4 at least, for the longest body.",
  },
  SMARTDASH_BODY_MIB_IN_ALL: {
    kind: "count",
    default: "64",
    doc: "The same for all callers of this process together; more is answered with 503 until there is room.",
  },
  SMARTDASH_LOOPS: {
    kind: "flag",
    default: "on",
    doc: "Notice agents that go round in circles: tell them, then refuse, then stop them until a person lets them go on.",
  },
  SMARTDASH_TOOL_PINNING: {
    kind: "choice",
    choices: ["hold", "report", "off"],
    default: "hold",
    doc: "A tool that is new or has changed since an upstream's list was first seen: `hold` it back until `smartdash tools approve`, only `report` it, or `off`.",
  },
  SMARTDASH_APPROVAL: {
    kind: "choice",
    choices: ["destructive", "policy", "off"],
    default: "destructive",
    doc: "Which calls wait for a person's yes: tools that say they are `destructive` and those that a policy names, those of a `policy` alone, or none.",
  },
  ALLOWED_ORIGINS: {
    kind: "list",
    doc: "Origins of browser clients, comma separated and exact (`https://app.example.com`): they get CORS headers at MCP addresses and at the authorization server's. None by default.",
  },
} as const satisfies Record<string, Setting>;
