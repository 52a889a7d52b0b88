const aLot = "100000000/60s";

/** Every guard at work, with so much room that none of them refuses: what is measured is what they cost. */
export const guardsOn = {
  SMARTDASH_LIMITS: ["agent", "person", "account", "upstream", "tool", "address"]
    .map((kind) => `${kind}=${aLot}`)
    .join(","),
  SMARTDASH_BUDGETS: "agent=100000000/day,account=100000000/month",
  SMARTDASH_CALLS_AT_ONCE: "100000",
  SMARTDASH_STREAMS_AT_ONCE: "100000",
};

/** As few of them as can be. */
export const guardsOff = {
  ...guardsOn,
  SMARTDASH_LIMITS: "off",
  SMARTDASH_BUDGETS: "off",
  SMARTDASH_LOOPS: "off",
  SMARTDASH_TOOL_PINNING: "off",
  SMARTDASH_APPROVAL: "off",
};

/** The same call with the same result may come as often as it likes; it is counted all the same. */
export const toolRules = { repeats: { "*": "100000000/1s" } };
