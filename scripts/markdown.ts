export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines
    .map((cells) => `| ${cells.map((each) => each.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
}

export function code(text: string): string {
  return `\`${text}\``;
}

export function coded(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : code(text);
}
