/** What can go wrong on the pages of a person: connecting, signing in, deciding. */
export const pageFailures = {
  provider_unknown: { http: 404, exit: 2, doc: "No provider of this name is configured." },
  provider_not_configured: {
    http: 503,
    exit: 2,
    doc: "The provider has no client id or redirect URI in the settings.",
  },
  site_unknown: { http: 400, doc: "The provider has no such country site." },
  state_missing: { http: 400, doc: "The provider's answer carries no state." },
  state_unknown: {
    http: 400,
    doc: "This connection attempt is unknown or was already used; each works once.",
  },
  state_expired: { http: 400, doc: "This connection attempt is older than 15 minutes." },
  state_foreign: { http: 400, doc: "This connection attempt was begun in another browser." },
  consent_denied: { http: 403, doc: "The person did not allow the connection at the provider." },
  provider_said_no: {
    http: 400,
    doc: "The provider ended the connection attempt with an error; its code is shown.",
  },
  exchange_failed: {
    http: 502,
    doc: "The provider did not exchange the authorization code for a credential.",
  },
  identity_failed: {
    http: 502,
    doc: "The provider did not say whose credential it is. When it refuses to (401 or 403 of its identity endpoint), the application there lacks a permission, which the page names: tick it and connect again.",
  },
  other_seller: {
    http: 409,
    doc: "Another seller than the expected one was connected; the expected account was not changed.",
  },
  account_of_another: { http: 409, doc: "This account is connected here by another person." },
  key_missing: { http: 400, doc: "The form has no api_key." },
  key_retired: {
    http: 400,
    doc: "Airtable API keys (`key…`) were shut off in February 2024; use a personal access token (`pat…`).",
  },
  key_refused: { http: 401, doc: "The provider does not accept this key." },
  account_has_oauth: {
    http: 409,
    doc: "This account is already connected through OAuth, which a key never replaces: create a session for it on the gateway's page.",
  },
  sign_in_needed: {
    http: 401,
    doc: "This page is for a signed-in person. Connect an account first.",
  },
  account_gone: {
    http: 409,
    doc: "The account that was chosen is not connected any more. Start again from the agent.",
  },
  client_unknown: {
    http: 400,
    doc: "The client_id is not registered here, or its metadata document cannot be used. Nothing was sent anywhere.",
  },
  redirect_uri_unknown: {
    http: 400,
    doc: "The redirect_uri is not one that this client registered, so nobody is sent there.",
  },
  consent_expired: {
    http: 403,
    doc: "The consent page is older than 15 minutes or belongs to another request. Start again from the agent.",
  },
  device_code_unknown: {
    http: 400,
    doc: "This device code is unknown, was used, or is older than 15 minutes.",
  },
  invite_needed: {
    http: 403,
    doc: "New people need an invitation here (SMARTDASH_SIGNUP). The operator makes one with: smartdash invite",
  },
  invite_unknown: {
    http: 400,
    doc: "This invitation is unknown, was used, or is older than seven days.",
  },
  review_link_needed: {
    http: 403,
    doc: "The page of held definitions opens with a link that the operator makes with `smartdash tools review`. A link works once, within ten minutes; the browser may look for an hour.",
  },
  definition_decided: {
    http: 409,
    doc: "Somebody has decided about this definition since the page was loaded, or there is none. Nothing was changed; load the page again. `smartdash tools list` says what was decided, and by whom.",
  },
  wrong_person: {
    http: 403,
    doc: "This link is for another person than the one who is signed in here. Nothing was changed.",
  },
  too_many_requests: {
    http: 429,
    exit: 75,
    doc: "Too many of these from one address. Wait as long as Retry-After says.",
  },
} as const;
