import type { ErrorRule, Provider } from "./provider.ts";

/** Mercado Libre and Mercado Pago answer in one dialect; limits may also come as Envoy's plain text. */
export const mercadoErrors: readonly ErrorRule[] = [
  { code: "local_rate_limited", means: "busy" },
  { text: "local_rate_limited", means: "busy" },
  { code: "too_many_requests", means: "busy" },
  { code: "unauthorized_application", means: "application_refused" },
  // Said of one seller's grant as well as of an application: not a verdict about either.
  { code: "unauthorized_client", means: "broken" },
];

export const mercadolibre: Provider = {
  name: "mercadolibre",
  title: "Mercado Libre",
  endpoints: {
    authorize: "https://{host}/authorization",
    token: "https://api.mercadolibre.com/oauth/token",
    identity: "https://api.mercadolibre.com/users/me",
  },
  sites: {
    MLA: "auth.mercadolibre.com.ar",
    MLB: "auth.mercadolivre.com.br",
    MLM: "auth.mercadolibre.com.mx",
    MLC: "auth.mercadolibre.cl",
    MCO: "auth.mercadolibre.com.co",
    MLU: "auth.mercadolibre.com.uy",
    MPE: "auth.mercadolibre.com.pe",
    MEC: "auth.mercadolibre.com.ec",
    MLV: "auth.mercadolibre.com.ve",
    MPA: "auth.mercadolibre.com.pa",
    MRD: "auth.mercadolibre.com.do",
    MCR: "auth.mercadolibre.co.cr",
    MBO: "auth.mercadolibre.com.bo",
    MPY: "auth.mercadolibre.com.py",
    MGT: "auth.mercadolibre.com.gt",
    MHN: "auth.mercadolibre.com.hn",
    MNI: "auth.mercadolibre.com.ni",
    MSV: "auth.mercadolibre.com.sv",
    CBT: "global-selling.mercadolibre.com",
  },
  defaultSite: "MLA",
  clientAuthentication: "body",
  pkce: "switchable",
  scopes: [],
  identity: { from: "token", idField: "user_id" },
  refresh: {
    singleUse: true,
    defaultAccessSeconds: 10_800,
    refreshTokenDays: 180,
    idleDays: 120,
  },
  errors: mercadoErrors,
  revocation: {
    how: "delete_with_access_token",
    url: "https://api.mercadolibre.com/users/{seller}/applications/{client}",
  },
  staticKeys: { prefixes: ["APP_USR-"] },
};
