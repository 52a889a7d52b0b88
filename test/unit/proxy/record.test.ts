import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Caller } from "#src/oauth-server/caller.ts";
import { type CallRecord, logMembers, recordText, rowText } from "#src/proxy/record.ts";
import { cleaned, storable } from "#src/telemetry/redact.ts";
import { anyText, check } from "#test/support/property.ts";

const some = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });
const moment = fc.integer({ min: 0, max: 4_000_000_000_000 });

const anyCaller: fc.Arbitrary<Caller> = fc.record({
  kind: fc.constantFrom("session" as const, "grant" as const, "agent" as const),
  id: fc.uuid(),
  key: fc.constant("agent:x"),
  agent: some(anyText),
  agentName: fc.constant("x"),
  policies: fc.constant([]),
  personId: some(fc.uuid()),
  accountId: some(fc.uuid()),
  provider: fc.constant(undefined),
  upstream: fc.constant(undefined),
  granted: fc.constant([]),
  allowed: fc.constant(new Set<never>()),
  expiresAt: fc.constant(0),
  topics: fc.constant([]),
});

const anyRecord: fc.Arbitrary<CallRecord & { readonly caller: Caller }> = fc.record({
  startedAt: moment,
  endedAt: moment,
  requestId: fc.constantFrom("abcd-1", "x:/=+."),
  upstream: fc.record({ name: fc.constantFrom("shop", "x_1") }),
  caller: anyCaller,
  httpMethod: fc.constantFrom("POST", "GET"),
  rpcMethod: some(anyText),
  name: some(fc.oneof(anyText, fc.string({ minLength: 190, maxLength: 450 }))),
  status: fc.integer({ min: 200, max: 599 }),
  upstreamStatus: some(fc.integer({ min: 200, max: 599 })),
  failure: some(fc.constant("busy" as const)),
  guard: some(fc.constantFrom("rate_limited", "approved_once")),
  reason: some(anyText),
  tool: fc.constant(undefined),
});

const idOf = ({ kind, id }: Caller, wanted: Caller["kind"]) => (kind === wanted ? id : undefined);

test("what is stored of a call is what its digest is made of when it is read again", () => {
  check(
    fc.property(anyRecord, fc.uuid(), (record, id) => {
      const { caller, startedAt, endedAt, upstream, rpcMethod, name, ...same } = record;
      const at = new Date(startedAt);
      const row = {
        ...same,
        id,
        at,
        upstream: upstream.name,
        httpMethod: record.httpMethod ?? "",
        rpcMethod: storable(rpcMethod),
        name: storable(name),
        personId: caller.personId,
        accountId: caller.accountId,
        sessionId: idOf(caller, "session"),
        grantId: idOf(caller, "grant"),
        agentId: idOf(caller, "agent"),
        clientId: storable(caller.agent),
        durationMs: endedAt - startedAt,
      };
      expect(recordText(record, caller, [id, at.toISOString()])).toBe(rowText(row));
    }),
    { cases: 500 },
  );
});

test("a line of the log has everything of a call that is known, redacted, whatever it is called", () => {
  check(
    fc.property(anyRecord, (record) => {
      const { caller, rpcMethod, name, requestId, status, upstreamStatus, failure } = record;
      const facts = {
        requestId,
        upstream: record.upstream.name,
        rpcMethod: cleaned(rpcMethod),
        name: cleaned(name),
        status,
        upstreamStatus,
        failure,
        durationMs: record.endedAt - record.startedAt,
        accountId: caller.accountId,
        sessionId: idOf(caller, "session"),
        grantId: idOf(caller, "grant"),
        agentId: idOf(caller, "agent"),
        clientId: cleaned(caller.agent),
        guard: record.guard,
        reason: cleaned(record.reason),
      };
      expect(JSON.parse(`{${logMembers(record)}}`)).toEqual(JSON.parse(JSON.stringify(facts)));
    }),
    { cases: 500 },
  );
});
