/** What guards refuse an agent. */
export const guardFailures = {
  switched_off: {
    http: 503,
    doc: "The operator has switched this provider, account, agent or tool, or everything, off for a while (`smartdash switch`). Try again later; nothing is lost.",
  },
  agent_stopped: {
    http: 403,
    doc: "This agent went round in circles and did not stop when it was told. The person it works for lets it go on at the gateway's page, the operator with `smartdash switch on`.",
  },
  rate_limited: {
    http: 429,
    doc: "More calls than the limit allows (SMARTDASH_LIMITS). The answer says when the next one may be made, in Retry-After and in its words.",
  },
  too_many_at_once: {
    http: 429,
    doc: "So many calls or streams of this agent are open already that no more begin (SMARTDASH_CALLS_AT_ONCE, SMARTDASH_STREAMS_AT_ONCE). Wait for one to end.",
  },
  budget_spent: {
    http: 429,
    doc: "The calls that this agent or account may make in the period are used up (SMARTDASH_BUDGETS).",
  },
  loop_noticed: {
    http: 429,
    doc: "The agent repeats itself: the same call with the same result, a cycle of calls, or one failure after another. Told as the result of the tool, with when it may go on.",
  },
  loop_refused: {
    http: 429,
    doc: "The agent went on repeating itself after it had been told. Still the answer says when it may go on; if it does not wait, it is stopped (`agent_stopped`).",
  },
  provider_pace: {
    http: 429,
    doc: "The provider allows only so many calls in a time and punishes more. The call was not sent; try again after Retry-After.",
  },
  tool_refused: {
    http: 403,
    doc: "The tool is not among those that the upstream's rules, the agent's or the permission's policy allow.",
  },
  tool_held: {
    http: 403,
    doc: "The tool is new or has changed since the operator last looked (`smartdash tools diff`), or the operator holds it back (`smartdash tools list`). It cannot be used before it is approved.",
  },
  approval_needed: {
    http: 403,
    doc: "A person has to allow this very call. The answer carries the link; call again with the same arguments after they have.",
  },
  approval_refused: { http: 403, doc: "The person did not allow this call." },
} as const;
