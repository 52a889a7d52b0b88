import { createInvite } from "#src/people/sign-up.ts";
import { command, withApp } from "../command.ts";
import { print, tell } from "../terminal.ts";

export const invite = command({
  name: "invite",
  description: "Print a link that lets one new person in, once, within seven days",
  args: { json: { type: "boolean", description: "Print one JSON object" } },
  run: async ({ json }) => {
    const made = await withApp({ role: "command" }, createInvite);
    if (json === true) return print(JSON.stringify(made));
    print(made.url);
    tell(`It works once, until ${made.expiresAt.toISOString().slice(0, 16)} UTC.`);
  },
});
