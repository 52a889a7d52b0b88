/** What kind of failure an answer or an error is, in few words: a status, our own code, or the error's words. */
export function kindOf(failure: unknown): string {
  const text = failure instanceof Error ? failure.message : String(failure);
  const status = /^HTTP\/1.1 (\d{3})/.exec(text)?.[1];
  if (status === undefined) return text.split("\n", 1)[0]?.slice(0, 80) ?? "";
  const code = /"code":"(\w+)"/.exec(text)?.[1];
  return code === undefined ? status : `${status} ${code}`;
}
