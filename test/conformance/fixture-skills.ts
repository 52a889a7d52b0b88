import { memorySkillFiles, SkillsExtension } from "@modelcontextprotocol/server/ext/skills";

/** The Skills extension (SEP-2640) with one skill of two files. */
export function loadSkills(): Promise<SkillsExtension> {
  return SkillsExtension.load(memorySkillFiles(files), { strict: true });
}

const files = {
  "greeting/SKILL.md": [
    "---",
    "name: greeting",
    "description: Greets a person by name. Use it when someone arrives.",
    "---",
    "",
    "# Greeting",
    "",
    "Read references/GUIDE.md, then say hello.",
    "",
  ].join("\n"),
  "greeting/references/GUIDE.md": "# Guide\n\nBe brief.\n",
};
