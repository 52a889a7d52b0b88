import { html } from "hono/html";
import type { Registration } from "#src/accounts/registration.ts";
import type { Language } from "#src/http/language.ts";
import type { Markup } from "./page.ts";
import { say } from "./words.ts";

/** Countries (ISO 3166-1) by the names that Mercado Libre has for its sites. */
const countries: Readonly<Record<string, string>> = {
  MLA: "AR",
  MLB: "BR",
  MLM: "MX",
  MLC: "CL",
  MCO: "CO",
  MLU: "UY",
  MPE: "PE",
  MEC: "EC",
  MLV: "VE",
  MPA: "PA",
  MRD: "DO",
  MCR: "CR",
  MBO: "BO",
  MPY: "PY",
  MGT: "GT",
  MHN: "HN",
  MNI: "NI",
  MSV: "SV",
};

/** Links to connect an account of one country, where a provider has a host for each; `link` is the rest of their query. */
export function countryChoice(
  language: Language,
  { provider }: Registration,
  link: string,
): Markup | "" {
  const sites = Object.keys(provider.sites ?? {});
  if (sites.length < 2) return "";
  const choices = sites
    .map((site) => ({ site, name: countryName(language, site) }))
    .toSorted((a, b) => a.name.localeCompare(b.name, language));
  return html`<details>
    <summary class="note">${say(language, "other_country", { provider: provider.title })}</summary>
    <p class="links">
      ${choices.map(
        ({ site, name }) =>
          html`<a href="/auth/authorize?provider=${provider.name}&amp;site=${site}${link}"
            >${name}</a
          > `,
      )}
    </p>
  </details>`;
}

function countryName(language: Language, site: string): string {
  const country = countries[site];
  if (country === undefined) return site === "CBT" ? "Global Selling" : site;
  return new Intl.DisplayNames([language], { type: "region" }).of(country) ?? site;
}
