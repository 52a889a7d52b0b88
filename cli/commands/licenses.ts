import license from "../../LICENSE" with { type: "text" };
import notices from "../../THIRD_PARTY_NOTICES" with { type: "text" };
import { command } from "../command.ts";

/** Prints the licence of smartdash and those of everything in the binary. */
export const licenses = command({
  name: "licenses",
  description: "Print the licence of smartdash and of all software in the binary",
  examples: ["smartdash licenses", "smartdash licenses | less"],
  args: {},
  run: async () => ({ json: { license, notices }, text: `${license}\n${notices.trimEnd()}` }),
});
