import { html } from "hono/html";
import { Failure } from "#src/failure.ts";
import { switchOff, switchOn } from "#src/policy/switches.ts";
import { type Markup, seeOther } from "../page.ts";
import type { ConsoleDeps } from "./deps.ts";
import type { Sent } from "./mount.ts";
import { type View, actionButton, consolePage } from "./layout.ts";
import { told } from "./words.ts";

type Back = "agents" | "tools";

/** A button that switches something off, or on again where it is off. */
export function switchButton(
  view: View,
  what: {
    readonly subject: string;
    readonly isOff: boolean;
    readonly back: Back;
    readonly words?: readonly [off: "stop" | "switch_off", on: "let_go_on" | "switch_on"];
  },
): Markup | "" {
  const { subject, isOff, back, words = ["switch_off", "switch_on"] } = what;
  return actionButton(view, {
    action: "/console/switch",
    label: told(view.language, isOff ? words[1] : words[0]),
    about: subject,
    fields: { subject, state: isOff ? "on" : "off", back },
  });
}

/** Switches something off or on, on every replica. Failures: `usage` when there is no such thing. */
export async function flipSwitch(app: ConsoleDeps, sent: Sent): Promise<Response> {
  const { form, note, view, by } = sent;
  const subject = form.get("subject") ?? "";
  const [state, back] = [form.get("state"), form.get("back")];
  if (state !== "on" && state !== "off") throw new Failure("form_refused");
  await note(`switch_${state}`, subject);
  const { acknowledged } =
    state === "off" ? await switchOff(app, subject, { by }) : await switchOn(app, subject);
  const { by: took, of } = acknowledged;
  const room = back === "tools" ? back : "agents";
  if (took === of) return seeOther(`/console/${room}`);
  const { language } = view;
  const body = html`<p class="notice bad">${told(language, "acknowledged_by", { by: took, of })}</p>
    <p><a class="button plain" href="/console/${room}">${told(language, room)}</a></p>`;
  return await consolePage(view, {
    room,
    title: told(language, state === "on" ? "switch_on" : "switch_off"),
    body,
  });
}
