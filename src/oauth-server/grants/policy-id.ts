import { createHash } from "node:crypto";
import type { Grant } from "./store.ts";

/** What makes two grants the same for policy. */
export type PolicySubject = Pick<Grant, "personId" | "accountId" | "upstream" | "clientId">;

/**
 * What limits, budgets, stops, policies and approvals of a grant hang on: the same for every grant that a person gives
 * a client for an upstream and an account, so that a client cannot shake them off with a new one. The database works it
 * out by itself (`grants.policy_id`). No secret: a short name for the four together.
 */
export function policyIdOf({ personId, accountId, upstream, clientId }: PolicySubject): string {
  const text = [personId, accountId, upstream, clientId].join("|");
  const hex = createHash("md5").update(text).digest("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** How policy, switches and the audit trail name it. */
export function policyKeyOf(grant: Pick<Grant, "policyId">): string {
  return `grant:${grant.policyId}`;
}
