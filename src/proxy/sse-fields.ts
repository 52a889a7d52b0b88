/**
 * What one event of a stream says (HTML, server-sent events, section 9.2.6): a line is a field, a colon and a value,
 * of which one space before it is none; several `data` are one text of several lines; of `event` the last one counts.
 */
export type EventFields = {
  readonly type: string;
  /** Undefined: nothing that a reader is told of. */
  readonly data: string | undefined;
};

const lineEnds = /\r\n|\n|\r/;

/** @param event With its lines, and the empty one that ends it. */
export function fieldsOf(event: string): EventFields {
  let type = "";
  const data: string[] = [];
  for (const line of event.split(lineEnds)) {
    const value = valueOf(line, "data");
    if (value !== undefined) data.push(value);
    type = valueOf(line, "event") ?? type;
  }
  return { type: type || "message", data: data.length === 0 ? undefined : data.join("\n") };
}

/** What a reader takes for the message; empty where there is none. */
export function dataOf(event: string): string {
  return fieldsOf(event).data ?? "";
}

/** The value of a line, if it is this field's. */
export function valueOf(line: string, field: string): string | undefined {
  if (!line.startsWith(field)) return undefined;
  if (line.length === field.length) return "";
  if (line[field.length] !== ":") return undefined;
  const at = field.length + 1;
  return line.slice(line[at] === " " ? at + 1 : at);
}

/** The same event with another message, in one line; everything else stays as it was written. */
export function withData(event: string, data: string): string {
  const parts = event.split(/(\r\n|\n|\r)/);
  let isWritten = false;
  let out = "";
  for (let at = 0; at < parts.length; at += 2) {
    const [line = "", end = ""] = parts.slice(at, at + 2);
    if (valueOf(line, "data") === undefined) out += line + end;
    else if (!isWritten) out += `data: ${data}${end}`;
    isWritten ||= valueOf(line, "data") !== undefined;
  }
  return out;
}
