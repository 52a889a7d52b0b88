/** What an action that must not succeed rejects with. */
export async function rejection(action: PromiseLike<unknown>): Promise<unknown> {
  try {
    await action;
  } catch (error) {
    return error;
  }
  throw new Error("this was not refused");
}
