import { html } from "hono/html";
import type { Failure } from "#src/failure.ts";
import { failureWords } from "../failure-words.ts";
import { fill } from "../words.ts";
import { type Room, type View, consolePage, rooms } from "./layout.ts";
import { told } from "./words.ts";

/** What went wrong in the reader's language; of a mistake what is wrong about it and what to do, which is English. */
export async function failureInConsole(
  view: View,
  failure: Failure,
  { path, requestId }: { readonly path: string; readonly requestId: string },
): Promise<Response> {
  const { language } = view;
  const { code, details, message, meaning } = failure;
  const words = code === "usage" ? undefined : failureWords[details.wording ?? code]?.[language];
  const text = words === undefined ? message : fill(language, words, details.values ?? {});
  const body = html`<p class="notice bad" role="alert">${text}</p>
    ${words !== undefined || details.hint === undefined ? "" : html`<p>${details.hint}</p>`}
    <p class="quiet"><code>${code}</code> · ${requestId}</p>`;
  const named = path.split("/")[2];
  const room = rooms.find((each): each is Room & typeof each => each === named) ?? "overview";
  return await consolePage(view, {
    room,
    title: told(language, "went_wrong"),
    body,
    status: meaning.http,
  });
}
