import { html } from "hono/html";
import { version } from "#src/runtime/runtime.ts";
import type { ConsoleDeps } from "./deps.ts";
import { type View, badge, consolePage, tableOf } from "./layout.ts";
import { told } from "./words.ts";

/** Which settings this replica was given, and what of them may be shown. */
export async function settingsPage({ config }: ConsoleDeps, view: View): Promise<Response> {
  const { language } = view;
  const rows = config.given.map(({ name, isSet, shown, preset }) => [
    html`<code>${name}</code>`,
    isSet
      ? shown === undefined
        ? badge(told(language, "set_secret"), "good")
        : html`<code>${shown}</code>`
      : html`<span class="quiet"
          >${told(language, "is_default")}${preset === undefined ? "" : html` (<code>${preset}</code>)`}</span
        >`,
  ]);
  const body = html`<p>
      ${told(language, "settings_lead")} smartdash ${version.number} (${version.revision}).
    </p>
    ${tableOf([told(language, "setting"), told(language, "value")], rows, told(language, "none"))}`;
  return await consolePage(view, { room: "settings", body });
}
