import { roles } from "#src/people/operator-store.ts";
import { createOperatorLink, isName } from "#src/people/operators.ts";
import { Failure } from "#src/failure.ts";
import { command, withApp } from "../command.ts";

export const consoleCommand = command({
  name: "console",
  description: "Print a link that lets a browser into the operator's console",
  examples: ["smartdash console", "smartdash console --role auditor --as ana"],
  args: {
    role: {
      type: "string",
      default: "operator",
      description: "operator, or auditor: looks at all but arguments of calls, changes nothing",
    },
    as: { type: "string", description: "Whose name changes are noted with; the role without it" },
  },
  run: async (args) => {
    const role = roles.find((each) => each === args.role);
    if (role === undefined) throw new Failure("usage", `--role is ${roles.join(" or ")}`);
    const subject = args.as ?? role;
    if (!isName(subject) || subject.length > 60) {
      throw new Failure("usage", "--as takes up to 60 letters, digits, blanks and . @ _ -");
    }
    const made = await withApp({ role: "command" }, (app) =>
      createOperatorLink(app, { page: "console", role, subject }),
    );
    const until = made.expiresAt.toISOString().slice(0, 16);
    const talk = `It works once, until ${until} UTC; the browser may then use the console for an hour.`;
    return { json: { ...made, role, subject }, text: made.url, talk };
  },
});
