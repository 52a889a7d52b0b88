import { createInvite } from "#src/people/sign-up.ts";
import { command, withApp } from "../command.ts";

export const invite = command({
  name: "invite",
  description: "Print a link that lets one new person sign up within seven days",
  examples: ["smartdash invite"],
  args: {},
  run: async () => {
    const made = await withApp({ role: "command" }, createInvite);
    const until = made.expiresAt.toISOString().slice(0, 16);
    return { json: made, text: made.url, talk: `It works once, until ${until} UTC.` };
  },
});
