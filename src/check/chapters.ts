/** The chapters of the production checklist, as the owner's first document numbers them. */
export const chapters = {
  1: "Credentials",
  2: "OAuth",
  3: "Proxy",
  4: "Database",
  5: "Observability",
  6: "Health",
  7: "Agents",
  8: "Scale",
  9: "Before a deploy",
  10: "Contingency",
} as const;

export type Chapter = keyof typeof chapters;
