import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Fleet, type Program, startFleet } from "./fleet.ts";
import { runRecipe, settingsFor } from "./recipes.ts";

const { values } = parseArgs({
  options: { binary: { type: "string" }, keep: { type: "boolean" } },
});
const source = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const program: Program = values.binary === undefined ? [process.execPath, source] : [values.binary];

/** Three nodes on loopback; what they do for each other, told step by step by the recipes. */
async function show(fleet: Fleet): Promise<boolean> {
  for (const node of fleet.nodes) console.log(`${node.name}  ${node.url}  ${node.home}`);
  if (values.keep === true) {
    console.log("\nFor the recipes (scripts/fleet/recipe-*.sh), in another shell:\n");
    for (const [name, value] of Object.entries(settingsFor(fleet, program))) {
      console.log(`export ${name}='${value}'`);
    }
    console.log("\nCtrl-C ends them.");
    await new Promise((resolve) => process.once("SIGINT", resolve));
    return true;
  }
  let isGood = true;
  for (const recipe of ["recipe-1-fleet.sh", "recipe-2-oauth.sh", "recipe-3-discovery.sh"]) {
    const { exit, text } = await runRecipe(fleet, program, recipe);
    console.log(`\n${recipe}: ${exit === 0 ? "passes" : `fails (${exit})`}\n${text}`);
    isGood &&= exit === 0;
  }
  return isGood;
}

await using fleet = await startFleet(program, 3);
process.exitCode = (await show(fleet)) ? 0 : 1;
