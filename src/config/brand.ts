import { readFileSync, statSync } from "node:fs";
import type { Reader } from "./read.ts";

/** What the operator's console shows of whoever runs the gateway. */
export type Brand = {
  /** As `#rrggbb`; for buttons. */
  readonly colour: string | undefined;
  /** A picture as a `data:` address. */
  readonly logo: string | undefined;
};

const mostLogoBytes = 64 * 1024;
const mediaTypes: Readonly<Record<string, string>> = {
  svg: "image/svg+xml",
  png: "image/png",
  webp: "image/webp",
};

/** SMARTDASH_COLOUR and SMARTDASH_LOGO. */
export function brandFrom(read: Reader): Brand {
  const colour = read.text("SMARTDASH_COLOUR");
  if (colour !== undefined && !/^#[0-9a-f]{6}$/i.test(colour)) {
    read.problems.push({
      setting: "SMARTDASH_COLOUR",
      message: "is written #rrggbb, such as #2456c7",
    });
    return { colour: undefined, logo: logoFrom(read) };
  }
  return { colour: colour?.toLowerCase(), logo: logoFrom(read) };
}

function logoFrom(read: Reader): string | undefined {
  const path = read.text("SMARTDASH_LOGO");
  if (path === undefined) return undefined;
  const complain = (message: string) => read.problems.push({ setting: "SMARTDASH_LOGO", message });
  const type = mediaTypes[path.split(".").at(-1)?.toLowerCase() ?? ""];
  try {
    const file = statSync(path);
    if (type !== undefined && file.isFile() && file.size <= mostLogoBytes) {
      return `data:${type};base64,${readFileSync(path).toString("base64")}`;
    }
    complain("is an .svg, .png or .webp of 64 KiB at most");
  } catch {
    complain(`cannot be read: ${path}`);
  }
  return undefined;
}
